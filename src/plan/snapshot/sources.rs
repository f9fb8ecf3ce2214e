//! The sources of a reading without their types: for completeness and for the status.

use k8s_openapi::jiff::Timestamp;

use super::{PbxReading, Snapshot, Source, SourceFailure};
use crate::plan::observed::ReadingKind;

/// One source, in short.
#[derive(Clone, Copy, Debug)]
pub struct SourceLine<'a> {
    /// Its name, as statuses and conditions show it.
    pub name: &'static str,
    /// The smallest reading that contains it.
    pub kind: ReadingKind,
    /// Items of the newest complete value.
    pub items: usize,
    /// Whether there was a complete value ever.
    pub known: bool,
    /// When the reading of the newest complete value began.
    pub read_at: Option<Timestamp>,
    /// Why the newest try was incomplete.
    pub failure: Option<&'a SourceFailure>,
}

impl SourceLine<'_> {
    /// Whether the newest try was complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.known && self.failure.is_none()
    }
}

impl Snapshot {
    /// Whether every source was read completely in its newest try.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.sources(self.pbxs.values()).iter().all(SourceLine::is_complete)
    }

    /// All sources; those of the given PBXs are summed up.
    #[must_use]
    pub fn sources<'a>(&'a self, pbxs: impl Iterator<Item = &'a PbxReading> + Clone) -> Vec<SourceLine<'a>> {
        use ReadingKind::{Account, Full, Outcome};
        let mut lines = vec![
            line("gotoAccess", Full, &self.goto_access, |_| 1),
            line("gotoUsers", Full, &self.goto_users, Vec::len),
            line("lines", Full, &self.lines, Vec::len),
            line("extensions", Full, &self.extensions, Vec::len),
            line("telephoneNumbers", Full, &self.numbers, Vec::len),
            line("permissions", Full, &self.graph_permissions, Vec::len),
            line("teamsUsers", Full, &self.teams_users, Vec::len),
            line("seats", Full, &self.seats, |_| 1),
            line("numberAssignments", Outcome, &self.number_assignments, Vec::len),
            line("voice", Outcome, &self.voice, Vec::len),
            line("accountRecord", Account, &self.record, |_| 1),
            line("administrators", Account, &self.administrators, Vec::len),
            line("consents", Account, &self.consents, Vec::len),
            line("domains", Account, &self.domains, Vec::len),
            line("tenantDomains", Account, &self.tenant_domains, Vec::len),
            line("importsAndPushes", Account, &self.activity, |_| 1),
            line("pushAuthorization", Account, &self.push_authorization, |_| 1),
        ];
        lines.extend(sum(pbxs.clone().map(|pbx| line("entitlements", Outcome, &pbx.entitlement, |_| 1))));
        lines.extend(sum(pbxs.clone().map(|pbx| line("services", Account, &pbx.service, |_| 1))));
        lines.extend(sum(pbxs.clone().map(|pbx| line("verifications", Account, &pbx.verification, |_| 1))));
        lines.extend(sum(pbxs.clone().map(|pbx| line("candidates", Full, &pbx.candidates, Vec::len))));
        lines.extend(sum(pbxs.map(|pbx| line("connectorUsers", Outcome, &pbx.users, Vec::len))));
        lines
    }
}

fn line<'a, T>(name: &'static str, kind: ReadingKind, source: &'a Source<T>, count: fn(&T) -> usize) -> SourceLine<'a> {
    SourceLine {
        name,
        kind,
        items: source.known().map_or(0, count),
        known: source.known().is_some(),
        read_at: source.read_at,
        failure: source.failure.as_ref(),
    }
}

fn sum<'a>(lines: impl Iterator<Item = SourceLine<'a>>) -> Option<SourceLine<'a>> {
    lines.reduce(|sum, one| SourceLine {
        items: sum.items + one.items,
        known: sum.known && one.known,
        read_at: sum.read_at.min(one.read_at),
        failure: sum.failure.or(one.failure),
        ..sum
    })
}
