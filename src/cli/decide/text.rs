//! A run as text: what somebody must see before deciding.

use std::fmt::Write as _;

use kube::ResourceExt as _;
use teams_connector_operator::api::{Counters, RunAction, RunOperation, RunType, UserSyncRun};

use super::people::People;

const HEAD: [&str; 5] = ["USER", "E-MAIL", "OPERATION", "LOSES", "GETS"];
const CALLS: &str = "calls in Teams";

/// The whole run: facts, then one line for each action.
pub(super) fn whole(run: &UserSyncRun, people: &People) -> String {
    let mut text = String::new();
    for (name, fact) in facts(run) {
        let _ = writeln!(text, "{name:<12}{}", plain(&fact));
    }
    if let Some(why) = &people.unreadable {
        let _ = writeln!(text, "{:<12}not readable: {}", "E-mails", plain(why));
    }
    text.push('\n');
    let rows = run.spec.actions.iter().map(|action| row(run, action, people));
    text + &table(std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect())
}

fn facts(run: &UserSyncRun) -> Vec<(&'static str, String)> {
    let (spec, status) = (&run.spec, run.status.as_ref());
    let mut facts = vec![
        ("Run", format!("{}/{}", run.namespace().unwrap_or_default(), run.name_any())),
        ("Policy", spec.policy_ref.name.clone()),
        ("Type", run_type(spec.run_type).to_owned()),
    ];
    let state = status.and_then(|status| status.state);
    facts.extend(state.map(|state| ("State", format!("{state:?}"))));
    let ready = status.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == "Ready"));
    facts.extend(ready.map(|ready| ("Waits for", format!("{}: {}", ready.reason, ready.message))));
    facts.extend(status.and_then(|status| status.counters.as_ref()).map(|counters| ("Counters", line(counters))));
    facts.push(("Planned", spec.created_at.0.to_string()));
    facts.push(("Plan hash", spec.plan_hash.clone()));
    facts.push(("Actions", spec.actions.len().to_string()));
    facts
}

fn run_type(run_type: RunType) -> &'static str {
    match run_type {
        RunType::Connect => "Connect (takes nothing away)",
        RunType::Disconnect => "Disconnect (takes service away)",
    }
}

fn line(counters: &Counters) -> String {
    let Counters { licenses_available, licenses_total, users_to_add, users_to_remove, users_after_sync } = counters;
    format!(
        "licensesAvailable {licenses_available}, licensesTotal {licenses_total}, usersToAdd {users_to_add}, \
         usersToRemove {users_to_remove}, usersAfterSync {users_after_sync}"
    )
}

fn row(run: &UserSyncRun, action: &RunAction, people: &People) -> [String; 5] {
    let cell = |parts: Vec<String>| if parts.is_empty() { "-".to_owned() } else { parts.join(", ") };
    [
        format!("{}-{}", run.spec.policy_ref.name, plain(&action.user)),
        people.addresses.get(&action.user).map_or_else(|| "-".to_owned(), |address| plain(address)),
        format!("{:?}", action.op),
        plain(&cell(loses(action))),
        plain(&cell(gets(action))),
    ]
}

/// What the person has now and will not have.
fn loses(action: &RunAction) -> Vec<String> {
    let RunAction { user: _, op, args, expected } = action;
    let number = expected.phone_number.clone();
    let calls = (expected.enabled != Some(false)).then(|| CALLS.to_owned());
    match op {
        RunOperation::Disable => calls.into_iter().collect(),
        RunOperation::Delete | RunOperation::Replace => {
            calls.into_iter().chain(number).chain(["the connector license".to_owned()]).collect()
        }
        RunOperation::Put => number.filter(|number| args.phone_number.as_ref() != Some(number)).into_iter().collect(),
        RunOperation::Enable => Vec::new(),
    }
}

/// What the person will have and has not now.
fn gets(action: &RunAction) -> Vec<String> {
    let RunAction { user: _, op, args, expected } = action;
    match op {
        RunOperation::Put => {
            let calls = (!expected.in_connector).then(|| CALLS.to_owned());
            let number = args.phone_number.clone().filter(|number| expected.phone_number.as_ref() != Some(number));
            calls.into_iter().chain(number).collect()
        }
        RunOperation::Enable => vec![CALLS.to_owned()],
        RunOperation::Replace => args.new_user.iter().map(|key| format!("the same under key {key}")).collect(),
        RunOperation::Delete if args.teams_user_id.is_some() => vec!["the same with another Microsoft user".to_owned()],
        RunOperation::Disable | RunOperation::Delete => Vec::new(),
    }
}

fn table(rows: Vec<[String; 5]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("   ").trim_end());
    }
    text
}

/// Without what moves a terminal's cursor or turns its text around: names come from directories that others write.
pub(super) fn plain(text: &str) -> String {
    let hides = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    text.chars().map(|character| if hides(character) { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
pub(super) mod samples;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::samples::{connect, disconnect};
    use super::{People, plain, whole};

    fn people() -> People {
        let addresses = [("2000000000000000001", "ann.lee@contoso.example"), ("2000000000000000002", "jo\u{1b}[2K@x")];
        let addresses = addresses.map(|(key, address)| (key.to_owned(), address.to_owned()));
        People { addresses: BTreeMap::from(addresses), unreadable: None }
    }

    /// S17: who decides sees each person and what that person loses.
    #[test]
    fn a_disconnect_run_is_printed_whole() {
        insta::assert_snapshot!(whole(&disconnect(), &people()), @"
        Run         telephony/head-office-8fc163ab-1
        Policy      head-office
        Type        Disconnect (takes service away)
        State       AwaitingApproval
        Waits for   RemovalGuardTripped: 4 would lose service and 2 may.
        Counters    licensesAvailable 38, licensesTotal 50, usersToAdd 1, usersToRemove 2, usersAfterSync 11
        Planned     2026-01-05T08:01:48Z
        Plan hash   sha256:8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f
        Actions     4

        USER                              E-MAIL                    OPERATION   LOSES                                                 GETS
        head-office-2000000000000000001   ann.lee@contoso.example   Delete      calls in Teams, +15555550101, the connector license   -
        head-office-2000000000000000002   jo�[2K@x                  Delete      +15555550102, the connector license                   -
        head-office-2000000000000000003   -                         Disable     calls in Teams                                        -
        head-office-2000000000000000004   -                         Put         +15555550104                                          +15555550144
        ");
    }

    #[test]
    fn a_connect_run_is_printed_whole_without_the_right_to_read_users() {
        let people = People { unreadable: Some("users are forbidden".to_owned()), ..People::default() };
        insta::assert_snapshot!(whole(&connect(), &people), @"
        Run         telephony/head-office-8fc163ab-1
        Policy      head-office
        Type        Connect (takes nothing away)
        State       AwaitingApproval
        Waits for   RemovalGuardTripped: 4 would lose service and 2 may.
        Counters    licensesAvailable 38, licensesTotal 50, usersToAdd 1, usersToRemove 2, usersAfterSync 11
        Planned     2026-01-05T08:01:48Z
        Plan hash   sha256:8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f
        Actions     2
        E-mails     not readable: users are forbidden

        USER                              E-MAIL   OPERATION   LOSES   GETS
        head-office-2000000000000000005   -        Put         -       calls in Teams, +15555550105
        head-office-2000000000000000006   -        Enable      -       calls in Teams
        ");
    }

    #[test]
    fn an_address_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Kb\u{202e}c\n"), "a\u{fffd}[2Kb\u{fffd}c\u{fffd}");
        assert_eq!(plain("joão@contoso.example"), "joão@contoso.example");
    }
}
