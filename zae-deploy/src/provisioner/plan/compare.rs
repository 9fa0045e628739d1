//! An item beside what is stored of it, value by value.

use zae_limiter::{Limit, access::Cascade};

use super::{
    Action, Change, Difference,
    items::{Content, Item, Stored},
};
use crate::provisioner::declared::{Wish, Wishes};

/// An item with what it is and what it is to be.
#[derive(Clone, Debug)]
pub(in crate::provisioner) struct Compared {
    pub(in crate::provisioner) item: Item,
    pub(in crate::provisioner) managed: bool,
    /// `None`: it is to be gone.
    pub(in crate::provisioner) declared: Option<Content>,
    pub(in crate::provisioner) stored: Stored,
    pub(in crate::provisioner) wishes: Wishes,
}

impl Compared {
    /// The change that this item needs, if any.
    pub(in crate::provisioner) fn change(&self) -> Option<Change> {
        let nothing = Content::default();
        let (action, from, to) = match (&self.stored, &self.declared) {
            // An absent item needs no removal.
            (Stored::Absent, None) => return None,
            // A section without anything in it is what a missing item says, too.
            (Stored::Absent, Some(declared)) if *declared == nothing => return self.adopted(),
            (Stored::Absent, Some(declared)) => (Action::Create, &nothing, declared),
            (Stored::Content(stored), Some(declared)) if stored == declared => return self.adopted(),
            (Stored::Content(stored), Some(declared)) => (Action::Update, stored, declared),
            (Stored::Content(stored), None) => (Action::Delete, stored, &nothing),
            (Stored::Broken(problem), declared) => {
                let action = if declared.is_some() { Action::Update } else { Action::Delete };
                let broken = Difference { name: "item".to_owned(), from: Some(problem.clone()), to: None };
                let mut change = self.changed(action, &nothing, declared.as_ref().unwrap_or(&nothing));
                change.attributes.insert(0, broken);
                return Some(change);
            }
        };
        Some(self.changed(action, from, to))
    }

    /// Returns true if the switch is declared, and is stored as it is declared.
    pub(in crate::provisioner) fn asserts_switch(&self) -> bool {
        let stored = match &self.stored {
            Stored::Content(stored) => stored.access,
            Stored::Absent | Stored::Broken(_) => None,
        };
        stored.is_some() && self.wishes.access == Wish::Wanted(stored)
    }

    fn adopted(&self) -> Option<Change> {
        let nothing = Content::default();
        (!self.managed).then(|| self.changed(Action::Adopt, &nothing, &nothing))
    }

    fn changed(&self, action: Action, from: &Content, to: &Content) -> Change {
        Change { action, level: self.item.level(), target: self.item.target(), attributes: differences(from, to) }
    }
}

fn differences(from: &Content, to: &Content) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |name: String, from: Option<String>, to: Option<String>| {
        if from != to {
            found.push(Difference { name, from, to });
        }
    };
    let policy = |content: &Content| content.on_unavailable.map(|policy| policy.as_str().to_owned());
    compare("on_unavailable".to_owned(), policy(from), policy(to));
    let access = |content: &Content| content.access.map(|access| access.as_str().to_owned());
    compare("access".to_owned(), access(from), access(to));
    let cascade = |content: &Content| content.cascade.map(|policy| Cascade::as_str(policy).to_owned());
    compare("cascade".to_owned(), cascade(from), cascade(to));
    let limits = |content: &Content| content.limits.iter().flat_map(|set| set.iter().cloned()).collect::<Vec<_>>();
    let (from, to) = (limits(from), limits(to));
    let mut names: Vec<&str> = from.iter().chain(&to).map(|limit| limit.name().as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |limits: &[Limit]| limits.iter().find(|limit| limit.name().as_str() == name).cloned();
        let (from, to) = (of(&from), of(&to));
        for (field, value) in [
            ("capacity", Limit::capacity as fn(&Limit) -> u64),
            ("refill_amount", Limit::refill_amount),
            ("refill_period", |limit| limit.refill_period().as_secs()),
        ] {
            let shown = |limit: &Option<Limit>| limit.as_ref().map(|limit| value(limit).to_string());
            compare(format!("{name}.{field}"), shown(&from), shown(&to));
        }
        let soft = |limit: &Option<Limit>| limit.as_ref().filter(|limit| limit.is_soft()).map(|_| "true".to_owned());
        compare(format!("{name}.soft"), soft(&from), soft(&to));
        let resets = |limit: &Option<Limit>| limit.as_ref().and_then(Limit::reset_schedule);
        compare(format!("{name}.reset_schedule"), resets(&from), resets(&to));
        let session = |limit: &Option<Limit>| limit.as_ref()?.session().map(|length| length.as_secs().to_string());
        compare(format!("{name}.reset_after_seconds"), session(&from), session(&to));
        let schedule = |limit: &Option<Limit>| {
            let schedule = limit.as_ref()?.schedule()?;
            Some(schedule.lines().collect::<Vec<_>>().join("; "))
        };
        compare(format!("{name}.schedule"), schedule(&from), schedule(&to));
    }
    found
}
