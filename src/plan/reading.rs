//! A complete reading of one PBX, indexed once: by id and by normalized address.
//!
//! **Architecture invariant:** a [`Reading`] exists only when every source that users are judged by is complete.

use std::collections::{HashMap, HashSet};

use k8s_openapi::jiff::Timestamp;

use super::names::Names;
use super::numbers::Routed;
use super::snapshot::{
    ConnectorUser, Entitlement, GotoUser, Line, Snapshot, Source, TeamsNumber, TeamsNumberKind, TeamsUser, UserLines,
    VoiceState,
};
use crate::api::{Reason, TeamsAttribute};
use crate::domain::{Address, E164, EntraObjectId, OrganizationId, UserKey};

/// A source that nothing may be concluded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// Name of the source.
    pub source: &'static str,
    /// How it shows.
    pub reason: Reason,
    /// Cause, without personal data.
    pub cause: String,
    /// Not read again before this time.
    pub retry_at: Option<Timestamp>,
}

/// Where a user of the GoTo account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At least one line in the PBX.
    Here,
    /// Lines, but only in other PBXs.
    Elsewhere,
    /// No line at all.
    NoLine,
}

/// Who and what is there: all that absence is concluded from.
#[derive(Debug)]
pub(super) struct Presence<'a> {
    places: HashMap<&'a UserKey, Place>,
    pairs: HashSet<&'a UserKey>,
    /// By what they are named.
    pub names: Names<'a>,
}

/// A user of the GoTo account with lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person<'a> {
    /// What Admin says.
    pub user: &'a GotoUser,
    /// The line in the PBX that counts: the primary one, else the first.
    pub line: Option<&'a Line>,
}

/// Every source that users are judged by, complete.
struct Sources<'a> {
    goto_users: &'a [GotoUser],
    lines: &'a [UserLines],
    extensions: &'a [super::snapshot::PbxExtension],
    numbers: &'a [super::snapshot::PbxNumber],
    teams_users: &'a [TeamsUser],
    assignments: &'a [TeamsNumber],
    voice: &'a [VoiceState],
    entitlement: Option<Entitlement>,
    candidates: &'a [super::snapshot::Candidate],
    pairs: &'a [ConnectorUser],
}

/// A complete reading of one PBX.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    /// Users of the GoTo account.
    pub people: HashMap<&'a UserKey, Person<'a>>,
    /// How many GoTo users have an address.
    pub addresses: HashMap<&'a Address, usize>,
    /// Users of the tenant.
    pub teams: HashMap<EntraObjectId, &'a TeamsUser>,
    /// Who has an address in the tenant; `None`: several.
    pub by_address: HashMap<&'a Address, Option<EntraObjectId>>,
    /// Voice state.
    pub voice: HashMap<EntraObjectId, &'a VoiceState>,
    /// Telephone numbers of the tenant.
    pub assignments: HashMap<&'a E164, &'a TeamsNumber>,
    /// Who has a number that is not Direct Routing.
    pub calling_plans: HashSet<EntraObjectId>,
    /// Secure calling; a user who is missing is not known.
    pub secure_calling: HashMap<&'a UserKey, bool>,
    /// Users in the connector.
    pub pairs: HashMap<&'a UserKey, &'a ConnectorUser>,
    /// The same by their Microsoft side.
    pub pairs_by_teams: HashMap<EntraObjectId, &'a ConnectorUser>,
    /// Microsoft users who are connected in another PBX of the account, as far as is known.
    pub taken_elsewhere: HashSet<EntraObjectId>,
    /// Who has a number in the connector.
    pub pair_numbers: HashMap<&'a E164, &'a UserKey>,
    /// Id of an extension of the PBX by its number.
    pub extensions: HashMap<&'a str, &'a str>,
    /// Numbers by the extension that they are routed to.
    pub routed: HashMap<&'a str, Routed<'a>>,
    /// What was bought for the PBX; `None`: the integration is not visible.
    pub entitlement: Option<Entitlement>,
    /// Who and what is there.
    pub presence: Presence<'a>,
    /// When the reading of the connector's users began.
    pub pairs_read_at: Option<Timestamp>,
}

impl<'a> Presence<'a> {
    /// The presence of an earlier reading; `None` when it was incomplete.
    pub(super) fn of(snapshot: &'a Snapshot, pbx: OrganizationId) -> Option<Self> {
        let lines = snapshot.lines.current()?;
        let goto_users = snapshot.goto_users.current()?;
        let teams_users = snapshot.teams_users.current()?;
        let pairs = snapshot.pbxs.get(&pbx)?.users.current()?;
        (unlisted(goto_users, lines) == 0).then(|| Self::index(goto_users, lines, teams_users, pairs, pbx))
    }

    fn index(
        goto_users: &'a [GotoUser],
        lines: &'a [UserLines],
        teams_users: &'a [TeamsUser],
        pairs: &'a [ConnectorUser],
        pbx: OrganizationId,
    ) -> Self {
        let by_key: HashMap<&UserKey, &[Line]> = lines.iter().map(|it| (&it.key, it.lines.as_slice())).collect();
        let place = |key: &UserKey| match by_key.get(key) {
            Some(lines) if lines.iter().any(|line| line.organization == pbx) => Place::Here,
            Some(lines) if !lines.is_empty() => Place::Elsewhere,
            _ => Place::NoLine,
        };
        Self {
            places: goto_users.iter().map(|user| (&user.key, place(&user.key))).collect(),
            pairs: pairs.iter().map(|pair| &pair.key).collect(),
            names: Names::of(goto_users, teams_users, |key| {
                main_line(by_key.get(key).copied().unwrap_or_default(), pbx)
            }),
        }
    }

    /// Where the user is; `None`: not in the GoTo account.
    pub(super) fn place(&self, key: &UserKey) -> Option<Place> {
        self.places.get(key).copied()
    }

    /// Whether the user is in the PBX, or in none.
    pub(super) fn is_in_scope(&self, key: &UserKey) -> bool {
        self.place(key).is_some_and(|place| place != Place::Elsewhere)
    }

    /// Whether the Microsoft user exists.
    pub(super) fn has_teams_user(&self, id: EntraObjectId) -> bool {
        self.names.has_teams_user(id)
    }

    /// Whether the user is in the connector.
    pub(super) fn has_pair(&self, key: &UserKey) -> bool {
        self.pairs.contains(key)
    }

    /// Whether the user is there, has an address, and nobody of the tenant has the same as UPN or as mail. The other attribute
    /// counts too: one that was chosen by mistake makes nobody a candidate.
    pub(super) fn matches_nobody(&self, key: &UserKey) -> bool {
        self.names.matches_nobody(key)
    }

    /// Users of the PBX, and users without any line.
    pub(super) fn in_scope(&self) -> impl Iterator<Item = &'a UserKey> + '_ {
        self.places.iter().filter(|(_, place)| **place != Place::Elsewhere).map(|(key, _)| *key)
    }
}

impl<'a> Reading<'a> {
    /// The reading of the PBX, or every source that is missing for it.
    pub(super) fn complete(
        snapshot: &'a Snapshot,
        pbx: OrganizationId,
        attribute: Option<TeamsAttribute>,
    ) -> Result<Self, Vec<Gap>> {
        let sources = Sources::of(snapshot, pbx)?;
        let pairs_read_at = snapshot.pbxs.get(&pbx).and_then(|pbx| pbx.users.read_at);
        Ok(Self {
            people: people(&sources, pbx),
            addresses: counted(sources.goto_users),
            teams: sources.teams_users.iter().map(|user| (user.id, user)).collect(),
            by_address: by_address(sources.teams_users, attribute),
            voice: sources.voice.iter().map(|state| (state.id, state)).collect(),
            assignments: sources.assignments.iter().map(|it| (&it.number, it)).collect(),
            calling_plans: calling_plans(sources.assignments),
            secure_calling: sources.candidates.iter().map(|it| (&it.key, it.secure_calling)).collect(),
            pairs: sources.pairs.iter().map(|pair| (&pair.key, pair)).collect(),
            pairs_by_teams: sources.pairs.iter().map(|pair| (pair.teams_user, pair)).collect(),
            taken_elsewhere: taken_elsewhere(snapshot, pbx),
            pair_numbers: sources.pairs.iter().filter_map(|pair| Some((pair.number.as_ref()?, &pair.key))).collect(),
            extensions: extensions(&sources, pbx),
            routed: super::numbers::routed(sources.numbers, pbx),
            entitlement: sources.entitlement,
            presence: Presence::index(sources.goto_users, sources.lines, sources.teams_users, sources.pairs, pbx),
            pairs_read_at,
        })
    }
}

fn taken_elsewhere(snapshot: &Snapshot, pbx: OrganizationId) -> HashSet<EntraObjectId> {
    let others = snapshot.pbxs.iter().filter(|(id, _)| **id != pbx).filter_map(|(_, other)| other.users.known());
    others.flatten().map(|pair| pair.teams_user).collect()
}

impl<'a> Sources<'a> {
    fn of(snapshot: &'a Snapshot, pbx: OrganizationId) -> Result<Self, Vec<Gap>> {
        let mut gaps = Vec::new();
        let goto_users = value(&mut gaps, "gotoUsers", &snapshot.goto_users);
        let lines = value(&mut gaps, "lines", &snapshot.lines);
        let extensions = value(&mut gaps, "extensions", &snapshot.extensions);
        let numbers = value(&mut gaps, "numbers", &snapshot.numbers);
        let teams_users = value(&mut gaps, "teamsUsers", &snapshot.teams_users);
        let assignments = value(&mut gaps, "numberAssignments", &snapshot.number_assignments);
        let voice = value(&mut gaps, "voice", &snapshot.voice);
        if let (Some(goto_users), Some(lines)) = (goto_users, lines) {
            gaps.extend(missing_lines(goto_users, lines));
        }
        let Some(connector) = snapshot.pbxs.get(&pbx) else {
            gaps.push(not_read("connectorUsers"));
            return Err(gaps);
        };
        let entitlement = value(&mut gaps, "entitlement", &connector.entitlement);
        let candidates = value(&mut gaps, "candidates", &connector.candidates);
        let pairs = value(&mut gaps, "connectorUsers", &connector.users);
        let all = (goto_users, lines, extensions, numbers, teams_users, assignments);
        let (Some(goto_users), Some(lines), Some(extensions), Some(numbers), Some(teams_users), Some(assignments)) =
            all
        else {
            return Err(gaps);
        };
        match (voice, entitlement, candidates, pairs) {
            (Some(voice), Some(entitlement), Some(candidates), Some(pairs)) if gaps.is_empty() => Ok(Self {
                goto_users,
                lines,
                extensions,
                numbers,
                teams_users,
                assignments,
                voice,
                entitlement: *entitlement,
                candidates,
                pairs,
            }),
            _ => Err(gaps),
        }
    }
}

/// Since when the oldest of the sources has not been read completely; `None`: one never was by this process.
pub(super) fn oldest_complete(snapshot: &Snapshot, pbx: OrganizationId) -> Option<Timestamp> {
    let connector = snapshot.pbxs.get(&pbx)?;
    let times = [
        snapshot.goto_users.read_at,
        snapshot.lines.read_at,
        snapshot.extensions.read_at,
        snapshot.numbers.read_at,
        snapshot.teams_users.read_at,
        snapshot.number_assignments.read_at,
        snapshot.voice.read_at,
        connector.entitlement.read_at,
        connector.candidates.read_at,
        connector.users.read_at,
    ];
    times.into_iter().collect::<Option<Vec<_>>>()?.into_iter().min()
}

fn value<'a, T>(gaps: &mut Vec<Gap>, name: &'static str, source: &'a Source<T>) -> Option<&'a T> {
    match (&source.failure, source.known()) {
        (Some(failure), _) => {
            let cause = failure.cause.clone();
            gaps.push(Gap { source: name, reason: failure.reason, cause, retry_at: failure.retry_at });
            None
        }
        (None, None) => {
            gaps.push(not_read(name));
            None
        }
        (None, Some(value)) => Some(value),
    }
}

fn not_read(source: &'static str) -> Gap {
    Gap { source, reason: Reason::Progressing, cause: "not read yet".to_owned(), retry_at: None }
}

/// A user in Admin's list that users/v1 does not list makes that source incomplete: only an explicit empty list of lines,
/// or lines in another organization, is leaving.
fn missing_lines(goto_users: &[GotoUser], lines: &[UserLines]) -> Option<Gap> {
    let count = unlisted(goto_users, lines);
    (count > 0).then(|| Gap {
        source: "lines",
        reason: Reason::SourceIncomplete,
        cause: format!("{count} users of the account are not listed"),
        retry_at: None,
    })
}

fn unlisted(goto_users: &[GotoUser], lines: &[UserLines]) -> usize {
    let listed: HashSet<&UserKey> = lines.iter().map(|it| &it.key).collect();
    goto_users.iter().filter(|user| !listed.contains(&user.key)).count()
}

fn people<'a>(sources: &Sources<'a>, pbx: OrganizationId) -> HashMap<&'a UserKey, Person<'a>> {
    let lines: HashMap<&UserKey, &'a [Line]> = sources.lines.iter().map(|it| (&it.key, it.lines.as_slice())).collect();
    let person = |user: &'a GotoUser| {
        let line = main_line(lines.get(&user.key).copied().unwrap_or_default(), pbx);
        (&user.key, Person { user, line })
    };
    sources.goto_users.iter().map(person).collect()
}

/// The line in the PBX that counts: the primary one, else the first.
fn main_line(lines: &[Line], pbx: OrganizationId) -> Option<&Line> {
    let mine = || lines.iter().filter(|line| line.organization == pbx);
    mine().find(|line| line.primary).or_else(|| mine().next())
}

fn counted(goto_users: &[GotoUser]) -> HashMap<&Address, usize> {
    let mut counts = HashMap::new();
    for address in goto_users.iter().filter_map(|user| user.address.as_ref()) {
        *counts.entry(address).or_insert(0) += 1;
    }
    counts
}

fn by_address(
    teams_users: &[TeamsUser],
    attribute: Option<TeamsAttribute>,
) -> HashMap<&Address, Option<EntraObjectId>> {
    let mut found: HashMap<&Address, Option<EntraObjectId>> = HashMap::new();
    for user in teams_users {
        let address = match attribute {
            Some(TeamsAttribute::UserPrincipalName) => user.upn_address.as_ref(),
            Some(TeamsAttribute::Mail) => user.mail_address.as_ref(),
            None => None,
        };
        let Some(address) = address else { continue };
        found.entry(address).and_modify(|id| *id = id.filter(|id| *id == user.id)).or_insert(Some(user.id));
    }
    found
}

fn calling_plans(assignments: &[TeamsNumber]) -> HashSet<EntraObjectId> {
    let others = assignments.iter().filter(|it| it.kind == TeamsNumberKind::Other);
    others.filter_map(|it| it.target).collect()
}

fn extensions<'a>(sources: &Sources<'a>, pbx: OrganizationId) -> HashMap<&'a str, &'a str> {
    let mine = sources.extensions.iter().filter(|it| it.organization == pbx);
    mine.map(|it| (it.number.as_str(), it.id.as_str())).collect()
}
