//! Which number an order is linked to, and which orders link to each other.

use super::{LinkTarget, Surroundings};
use tenios_api::PhoneNumber;
use tenios_api::valid::LinkSource;

/// A ring of more links than this is not looked for: it shows as waiting for its first link.
const LINKS_FOLLOWED: usize = 64;

/// What the order is linked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing.
    None,
    /// This number.
    Number(PhoneNumber),
    /// An order that is not there.
    Missing(String),
    /// An order that has no number yet.
    Waiting(String),
    /// An order whose number is cancelled, or may be.
    Cancelled(String),
}

/// What the order of this name links to.
///
/// # Errors
/// Orders that link to each other, for the message.
pub(super) fn resolve(
    name: &str,
    link: Option<LinkSource>,
    around: &dyn Surroundings,
) -> Result<Link, String> {
    let target = match link {
        None => return Ok(Link::None),
        Some(LinkSource::Number(number)) => return Ok(Link::Number(number.clone())),
        Some(LinkSource::Order(target)) => target,
    };
    match around.link_target(target) {
        LinkTarget::Number(number) => Ok(Link::Number(number)),
        LinkTarget::Cancelled => Ok(Link::Cancelled(target.to_owned())),
        LinkTarget::Missing => Ok(Link::Missing(target.to_owned())),
        LinkTarget::Waiting => match ring(name, target, around).as_deref() {
            None => Ok(Link::Waiting(target.to_owned())),
            Some([one, again]) if one == again => {
                Err(format!("spec.linkTo.orderRef names {one}, the order itself"))
            }
            Some(names) => Err(format!("spec.linkTo.orderRef forms a cycle: {}", names.join(" -> "))),
        },
    }
}

/// The names from the one that the links come back to, that one again at the end.
fn ring(name: &str, first: &str, around: &dyn Surroundings) -> Option<Vec<String>> {
    let mut path = vec![name.to_owned()];
    let mut next = first.to_owned();
    while path.len() <= LINKS_FOLLOWED {
        if let Some(start) = path.iter().position(|name| *name == next) {
            path.push(next);
            return Some(path.split_off(start));
        }
        let link = around.links_to(&next)?;
        path.push(std::mem::replace(&mut next, link));
    }
    None
}
