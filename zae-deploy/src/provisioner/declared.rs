//! Declarations beside what is stored: settings that nobody declares belong to operators.

use zae_limiter::access::{Access, Cascade};

use super::plan::{Compared, Content, Item, Stored};
use crate::manifest::Section;

/// The intention for one setting of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wish<T> {
    /// It stays as operators have set it.
    #[default]
    Left,
    /// It is declared now, or was until now.
    Wanted(Option<T>),
}

impl<T: Copy> Wish<T> {
    /// The wish for what is declared as `now` and was declared as `before`.
    fn of(now: Option<T>, before: Option<T>) -> Self {
        if now.is_none() && before.is_none() { Self::Left } else { Self::Wanted(now) }
    }

    /// The setting to be, where it is `current`.
    fn over(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Left => current,
            Self::Wanted(wanted) => wanted,
        }
    }
}

/// The intentions for the settings of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) access: Wish<Access>,
    pub(super) cascade: Wish<Cascade>,
}

impl Wishes {
    pub(super) fn of(now: Option<&Section>, before: Option<&Section>) -> Self {
        let access = |section: Option<&Section>| section.and_then(|section| section.access);
        let cascade = |section: Option<&Section>| section.and_then(|section| section.cascade);
        Self { access: Wish::of(access(now), access(before)), cascade: Wish::of(cascade(now), cascade(before)) }
    }
}

/// An item with its declaration.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) item: Item,
    pub(super) managed: bool,
    /// `None`: it is to be gone.
    pub(super) content: Option<Content>,
    pub(super) wishes: Wishes,
}

impl Declared {
    /// The declaration beside what is stored.
    pub(super) fn beside(self, stored: Stored) -> Compared {
        let Self { item, managed, content, wishes } = self;
        let current = match &stored {
            Stored::Content(stored) => stored.clone(),
            Stored::Absent | Stored::Broken(_) => Content::default(),
        };
        let settings = Content {
            access: wishes.access.over(current.access),
            cascade: wishes.cascade.over(current.cascade),
            ..Content::default()
        };
        let declared = match content {
            Some(content) => {
                Some(Content { limits: content.limits, on_unavailable: content.on_unavailable, ..settings })
            }
            // Settings of operators outlive the limits.
            None => Some(settings).filter(|settings| *settings != Content::default()),
        };
        Compared { item, managed, declared, stored, wishes }
    }
}
