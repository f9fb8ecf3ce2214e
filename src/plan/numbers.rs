//! Which telephone number a user should have.

use std::collections::HashMap;

use super::reading::{Person, Reading};
use super::snapshot::PbxNumber;
use crate::api::Reason;
use crate::domain::{E164, EntraObjectId, OrganizationId};

/// Numbers routed to one extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Routed<'a> {
    /// In E.164 form.
    valid: Vec<&'a E164>,
    /// Whether GoTo also wrote something else.
    broken: bool,
}

/// Numbers of the PBX by the extension that they are routed to.
pub(super) fn routed(numbers: &[PbxNumber], pbx: OrganizationId) -> HashMap<&str, Routed<'_>> {
    let mut routed: HashMap<&str, Routed<'_>> = HashMap::new();
    for number in numbers.iter().filter(|number| number.organization == pbx) {
        let Some(extension) = number.extension_id.as_deref() else { continue };
        let entry = routed.entry(extension).or_default();
        match &number.number {
            Some(number) => entry.valid.push(number),
            None => entry.broken = true,
        }
    }
    routed
}

/// The number that the Microsoft user has.
pub(super) fn actual<'a>(reading: &Reading<'a>, id: EntraObjectId) -> Option<&'a str> {
    reading.voice.get(&id).and_then(|voice| voice.number.as_ref()).map(E164::as_str)
}

/// The number that the user should have: the first of `kept` that is routed to the primary line's extension, else the lowest.
///
/// `kept`: the actual one, then those that the user had or was promised.
///
/// # Errors
/// `NumberMissing` or `NumberInvalid`, when there is none.
pub(super) fn expected<'a>(
    reading: &Reading<'a>,
    person: &Person<'a>,
    kept: &[Option<&str>],
) -> Result<&'a E164, Reason> {
    let extension = person.line.and_then(|line| reading.extensions.get(line.extension.as_str()));
    let Some(routed) = extension.and_then(|id| reading.routed.get(id)) else { return Err(Reason::NumberMissing) };
    let valid = |kept: &&str| routed.valid.iter().find(|number| number.as_str() == *kept);
    match kept.iter().flatten().find_map(valid).or_else(|| routed.valid.iter().min()) {
        Some(number) => Ok(number),
        None if routed.broken => Err(Reason::NumberInvalid),
        None => Err(Reason::NumberMissing),
    }
}
