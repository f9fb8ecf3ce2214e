//! Sources of GoTo.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::reading::{Part, Reader, listed};
use super::translate;
use crate::api::Reason;
use crate::clients::error::{ApiError, Class, CredentialsProblem};
use crate::clients::goto::missing_scopes;
use crate::clients::token::TokenFacts;
use crate::controllers::error::source_failure;
use crate::domain::{AccountKey, Address};
use crate::plan::snapshot::{GotoAccess, GotoUser, Snapshot, Source, SourceFailure, UserLines};

/// Role of a super admin.
const SUPER_ADMIN: &str = "SUPER_USER";

/// Access, users, lines, extensions and numbers.
pub(super) async fn read(reader: &Reader<'_>, old: &Snapshot) -> Part {
    let goto = &reader.session.goto;
    let account = &reader.session.account_key;
    let (accounts, facts) = access(reader).await;
    let principal: Option<Address> = facts.as_ref().and_then(|facts| facts.principal.as_deref()?.parse().ok());
    let missing: Option<Vec<_>> =
        facts.as_ref().and_then(missing_scopes).map(|scopes| scopes.iter().map(|scope| scope.name).collect());
    let roles: Mutex<Option<bool>> = Mutex::default();
    let users = goto.users(account, |user| {
        let address: Option<Address> = user.email.as_deref().and_then(|email| email.parse().ok());
        if principal.is_some() && address == principal {
            let is_super = user.admin_roles.as_ref().map(|roles| roles.iter().any(|role| role == SUPER_ADMIN));
            *roles.lock().unwrap_or_else(PoisonError::into_inner) = is_super;
        }
        translate::goto_user(user)
    });
    let (users, lines, (extensions, numbers)) =
        tokio::join!(users, goto.lines(account, |user| Some(translate::user_lines(user))), async {
            let extensions = goto.extensions(account, |extension| Some(translate::extension(extension))).await;
            (extensions, goto.phone_numbers(account, |number| Some(translate::number(number))).await)
        },);
    let super_admin = *roles.lock().unwrap_or_else(PoisonError::into_inner);
    // Whoever has every scope and may not list the users lacks the role.
    let lacks_role = missing.as_ref().is_some_and(Vec::is_empty)
        && users.as_ref().is_err_and(|users| may_lack_scope(&users.class()));
    let lacking = |failure| for_want_of(missing.as_deref().unwrap_or_default(), failure);
    let access = accounts.map(|accounts| GotoAccess {
        accounts,
        missing_scopes: missing.iter().flatten().map(|scope| (*scope).to_owned()).collect(),
        super_admin: if lacks_role { Some(false) } else { super_admin },
    });
    let access = reader.source("gotoAccess", &old.goto_access, access.map_err(|error| lacking(source_failure(&error))));
    let users = reader.source("gotoUsers", &old.goto_users, listed(users).map_err(lacking));
    let lines = reader.source("lines", &old.lines, listed(lines).and_then(|lines| with_everybody(&users, lines)));
    let extensions =
        reader.confirmed(("extensions", None), &old.extensions, listed(extensions), |it| Some(it.id.clone()));
    let numbers = reader.confirmed(("telephoneNumbers", None), &old.numbers, listed(numbers), |it| it.number.clone());
    Box::new(move |snapshot| {
        snapshot.goto_access = access;
        snapshot.goto_users = users;
        snapshot.lines = lines;
        snapshot.extensions = extensions;
        snapshot.numbers = numbers;
    })
}

/// A user in Admin's list that users/v1 does not list was on a page that was lost: without a line the user would be listed too.
fn with_everybody(users: &Source<Vec<GotoUser>>, lines: Vec<UserLines>) -> Result<Vec<UserLines>, SourceFailure> {
    let listed: HashSet<_> = lines.iter().map(|user| &user.key).collect();
    let missing = users.current().into_iter().flatten().filter(|user| !listed.contains(&user.key)).count();
    if missing == 0 {
        return Ok(lines);
    }
    let cause = format!("{missing} users of the account are not listed");
    Err(SourceFailure { reason: Reason::SourceIncomplete, cause, retry_at: None })
}

fn may_lack_scope(class: &Class) -> bool {
    matches!(class, Class::Credentials(CredentialsProblem::ScopeOrRoleMissing) | Class::Permission(_))
}

/// A refusal that may come from scope or role comes from the scopes, if the token lacks some.
fn for_want_of(missing: &[&str], failure: SourceFailure) -> SourceFailure {
    if failure.reason != Reason::NotSuperAdministrator || missing.is_empty() {
        return failure;
    }
    let cause = format!("The GoTo credentials lack the scopes {}", missing.join(", "));
    SourceFailure { reason: Reason::PermissionMissing, cause, ..failure }
}

/// The accounts of the credentials, and what the newest token says.
async fn access(reader: &Reader<'_>) -> (Result<Vec<AccountKey>, ApiError>, Option<TokenFacts>) {
    let goto = &reader.session.goto;
    let me = match goto.me().await {
        // Without a token there are no facts, and asking again would be one refusal more.
        Err(error) if !may_lack_scope(&error.class()) => return (Err(error), None),
        me => me,
    };
    match (me, goto.token_facts().await) {
        (Ok(me), Ok(facts)) => {
            let mut accounts: Vec<_> = me.accounts.into_iter().map(|account| account.key).collect();
            if !accounts.contains(&me.account_key) {
                accounts.push(me.account_key);
            }
            accounts.sort();
            (Ok(accounts), Some(facts))
        }
        (Ok(_), Err(error)) => (Err(error), None),
        (Err(error), facts) => (Err(error), facts.ok()),
    }
}
