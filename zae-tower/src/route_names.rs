//! A cache of the names of a program's routes: [`RouteNames`].

use std::{
    fmt,
    hash::BuildHasher,
    iter,
    sync::{Arc, OnceLock},
};

use foldhash::fast::RandomState;
use zae_limiter::{ResourceName, ValidationError};

use crate::resource::route_name;

/// Maximum number of cached routes; a power of two.
const SLOTS: usize = 256;
/// Number of slots that are tried for a route.
const TRIES: usize = 4;

/// Caches the names of a program's routes as [`route_name`] writes them: a route that was seen before costs no
/// allocation and no lock. Bounded; the name of a route that finds no slot is computed each time. Clones share the
/// cache.
///
/// ```
/// use zae_tower::adapter::RouteNames;
/// let names = RouteNames::default();
/// assert_eq!(names.name("/users/{id}")?.as_str(), "users/:id");
/// # Ok::<(), zae_tower::ValidationError>(())
/// ```
#[derive(Clone)]
pub struct RouteNames {
    hasher: RandomState,
    slots: Arc<[OnceLock<Named>]>,
}

struct Named {
    route: Box<str>,
    name: ResourceName,
}

impl Default for RouteNames {
    fn default() -> Self {
        Self { hasher: RandomState::default(), slots: iter::repeat_with(OnceLock::new).take(SLOTS).collect() }
    }
}

impl fmt::Debug for RouteNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteNames").finish_non_exhaustive()
    }
}

impl RouteNames {
    /// Returns the name of `route`.
    ///
    /// # Errors
    /// As [`route_name`]: none in practice.
    pub fn name(&self, route: &str) -> Result<ResourceName, ValidationError> {
        let first = self.hasher.hash_one(route) as usize;
        let slots = (0..TRIES).map(|offset| &self.slots[first.wrapping_add(offset) % SLOTS]);
        let mut free = None;
        for slot in slots {
            match slot.get() {
                Some(named) if *named.route == *route => return Ok(named.name.clone()),
                Some(_) => {}
                None => {
                    free = Some(slot);
                    break;
                }
            }
        }
        let name = route_name(route)?;
        if let Some(slot) = free {
            // Another thread may have filled the slot first; this route is then cached on a later request.
            let _ = slot.set(Named { route: route.into(), name: name.clone() });
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_keeps_its_own_name_however_many_there_are() {
        let names = RouteNames::default();
        for _ in 0..2 {
            for number in 0..SLOTS * 2 {
                let route = format!("/route-{number}/{{id}}");
                assert_eq!(names.name(&route).unwrap(), route_name(&route).unwrap());
            }
        }
        let kept = names.slots.iter().filter(|slot| slot.get().is_some()).count();
        assert!(kept > SLOTS / 2, "{kept}");
    }

    #[test]
    fn a_route_that_is_known_is_not_worked_out_again() {
        let names = RouteNames::default();
        let [first, again] = [names.name("/users/{id}").unwrap(), names.clone().name("/users/{id}").unwrap()];
        assert!(std::ptr::eq(first.as_str(), again.as_str()));
    }
}
