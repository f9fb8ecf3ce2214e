//! Changes beside the operator: nobody loses service by one of them alone.

use super::super::demo::{account_key, organization_id, teams_user_id, user_key};
use super::super::{Cut, Refusal, WorldEdit};
use super::{ANN, Bench, JOAO, KOFI};
use crate::clients::connector::wire::SyncKind;
use crate::domain::OrganizationId;

fn second_pbx() -> OrganizationId {
    "00000000-0000-4000-8000-0000000000fe".parse().unwrap()
}

fn members(bench: &Bench, pbx: OrganizationId) -> usize {
    bench.world.candidates(&account_key(), pbx, Cut::first(100)).unwrap().total
}

fn name(person: u32) -> String {
    user_key(person).to_string()
}

/// R5: who is deleted leaves listing, extension and number behind him at GoTo; the tenant is not touched.
#[test]
fn a_deleted_goto_user_frees_extension_and_number_at_goto_only() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    bench.push();
    bench.edit(WorldEdit::DeleteGotoUser { user: "ann.lee@contoso.example".to_owned() });
    let account = &bench.world.goto.accounts[&account_key()];
    assert!(!account.users.contains_key(&user_key(ANN)));
    assert!(!account.extensions.values().any(|it| it.number == "1001"));
    let number = account.phone_numbers.values().find(|it| it.number == "+15555550101").unwrap();
    assert_eq!((&number.route_to, bench.calls(ANN)), (&None, (Some(teams_user_id(ANN)), true)));
}

/// sync.md, "Who is in the PBX": a line makes a member, and only the first one is primary.
#[test]
fn a_line_is_taken_and_given_back() {
    let mut bench = Bench::new();
    bench.edit(WorldEdit::RemoveLine { user: name(JOAO) });
    assert_eq!(members(&bench, organization_id()), 5);
    for extension in ["1002", "1902"] {
        let extension = extension.to_owned();
        bench.edit(WorldEdit::AddLine { organization: None, user: name(JOAO), extension });
    }
    let account = &bench.world.goto.accounts[&account_key()];
    let primary: Vec<_> = account.users[&user_key(JOAO)].lines.iter().map(|it| it.primary).collect();
    assert_eq!((members(&bench, organization_id()), primary), (6, vec![true, false]));
    assert_eq!(account.routed(organization_id(), "1002"), ["+15555550102"]);
}

/// A PBX move: lines, extension and numbers are in the other PBX, the pair stays where it was.
#[test]
fn a_user_moves_to_another_pbx_and_the_pair_stays() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    let (organization, licenses) = (second_pbx(), Some(3));
    let unknown = bench.world.edit(WorldEdit::MoveToPbx { user: name(ANN), organization }, bench.now);
    assert_eq!(unknown, Err(Refusal::NotFound("PBX")));
    bench.edit(WorldEdit::AddPbx { organization, name: "Branch".to_owned(), licenses, bound: true });
    bench.edit(WorldEdit::MoveToPbx { user: name(ANN), organization });
    assert_eq!((members(&bench, organization_id()), members(&bench, organization)), (5, 1));
    let account = &bench.world.goto.accounts[&account_key()];
    assert_eq!(account.routed(organization, "1001"), ["+15555550101"]);
    assert!(account.owns(organization, "+15555550101"));
    assert_eq!((bench.user(ANN).extension, bench.in_use()), (None, 1));
}

/// R9: the same person under another key: address, lines and numbers stay, and the pair knows the old key only.
#[test]
fn a_recreated_user_has_another_key_and_the_same_address() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    let key = user_key(77);
    bench.edit(WorldEdit::RecreateGotoUser { user: name(ANN), key: key.clone() });
    let account = &bench.world.goto.accounts[&account_key()];
    let user = &account.users[&key];
    assert_eq!((user.email.as_str(), account.users.contains_key(&user_key(ANN))), ("ann.lee@contoso.example", false));
    assert_eq!(account.routed(organization_id(), &user.lines[0].number), ["+15555550101"]);
    assert_eq!(bench.user(ANN).email.as_deref(), Some("ann.lee@contoso.example"));
    let taken = WorldEdit::RecreateGotoUser { user: name(JOAO), key };
    assert!(bench.world.edit(taken, bench.now).is_err());
}

/// T34: a restored user comes back under its object id with what it had; a purged one does not.
#[test]
fn a_deleted_teams_user_is_restored_or_gone_for_good() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    bench.push();
    let teams_user = "ann.lee@contoso.example".to_owned();
    let before = bench.world.tenant.users[&teams_user_id(ANN)].clone();
    bench.edit(WorldEdit::DeleteTeamsUser { teams_user: teams_user.clone() });
    assert!(!bench.world.tenant.users.contains_key(&teams_user_id(ANN)));
    bench.edit(WorldEdit::RestoreTeamsUser { teams_user: teams_user.clone() });
    let back = &bench.world.tenant.users[&teams_user_id(ANN)];
    assert_eq!((&back.voice, &back.plans, back.version > before.version), (&before.voice, &before.plans, true));
    assert!(bench.world.tenant.deleted.is_empty());
    bench.edit(WorldEdit::DeleteTeamsUser { teams_user: teams_user.clone() });
    bench.edit(WorldEdit::PurgeTeamsUser { teams_user: teams_user.clone() });
    let restored = bench.world.edit(WorldEdit::RestoreTeamsUser { teams_user }, bench.now);
    assert_eq!(restored, Err(Refusal::NotFound("deleted Teams user")));
    assert!(bench.world.tenant.deleted[&teams_user_id(ANN)].permanent);
}

/// R9: everybody is renamed, nobody is another person.
#[test]
fn a_domain_is_renamed_for_everybody() {
    let mut bench = Bench::new();
    let (from, to) = ("Contoso.example".to_owned(), "fabrikam.example".to_owned());
    let version = bench.world.tenant.version;
    bench.edit(WorldEdit::RenameTenantDomain {
        from: from.clone(),
        to: to.clone(),
        user_principal_names: true,
        mails: false,
    });
    let users = &bench.world.tenant.users;
    assert!(users.values().all(|user| user.user_principal_name.ends_with("@fabrikam.example")));
    assert!(users.values().all(|user| user.mail.as_ref().is_some_and(|mail| mail.ends_with("@contoso.example"))));
    assert!(users.values().all(|user| user.version > version), "delta tells of each");
    bench.edit(WorldEdit::RenameGotoDomain { from, to });
    assert!(bench.world.find_goto_user("ann.lee@fabrikam.example").is_ok());
    let device = &bench.world.goto.accounts[&account_key()].users[&user_key(900_000)];
    assert!(device.email.ends_with("@devices.logmein.com"), "other domains stay");
}

/// R8: colleagues and other programs act beside us, by the rules of every pair.
#[test]
fn a_colleague_adds_changes_and_removes_pairs() {
    let mut bench = Bench::new();
    let add = |person: u32, external_id: Option<&str>, number: Option<&str>| WorldEdit::AddPair {
        organization: None,
        user: name(person),
        teams_user: teams_user_id(person).to_string(),
        external_id: external_id.map(str::to_owned),
        number: number.map(str::to_owned),
    };
    bench.edit(add(ANN, None, Some("+15555550103")));
    bench.edit(add(JOAO, Some("theirs"), None));
    assert_eq!((bench.user(ANN).external_id, bench.user(JOAO).external_id.as_deref()), (None, Some("theirs")));
    assert_eq!(bench.user(ANN).phone_number.as_deref(), Some("+15555550103"));
    let etag = bench.user(ANN).etag;
    bench.edit(WorldEdit::SetPairNumber { organization: None, user: name(ANN), number: None });
    assert_eq!(bench.user(ANN).phone_number.as_deref(), Some("+15555550101"));
    assert_ne!(bench.user(ANN).etag, etag);
    bench.edit(WorldEdit::SetPairEnabled { organization: None, user: name(ANN), enabled: false });
    bench.edit(WorldEdit::DeleteGotoUser { user: name(JOAO) });
    bench.edit(WorldEdit::RemovePair { organization: None, user: "joao@contoso.example".to_owned() });
    assert!(!bench.user(ANN).enabled);
    assert_eq!(bench.world.pbx(&account_key(), organization_id()).unwrap().users.len(), 1);
}

/// R4: a scope and the account are taken away and given back; what was out changes at once.
#[test]
fn scopes_and_access_are_taken_and_given_back() {
    let mut bench = Bench::new();
    let scope = "voice-admin.v1.read".to_owned();
    let scopes = |bench: &Bench| bench.world.goto.clients.values().all(|it| it.scopes.contains("voice-admin.v1.read"));
    bench.edit(WorldEdit::RemoveGotoScope { scope: scope.clone() });
    assert!(!scopes(&bench));
    bench.edit(WorldEdit::GrantGotoScope { scope });
    assert!(scopes(&bench));
    let reach = |bench: &Bench| bench.world.goto.refresh_tokens.values().all(|it| it.accounts.contains(&account_key()));
    for granted in [false, true, true] {
        bench.edit(WorldEdit::SetGotoAccountAccess { account: None, granted });
        assert_eq!(reach(&bench), granted);
    }
    assert!(bench.world.goto.refresh_tokens.values().all(|it| it.accounts.len() == 1));
}

/// T34: the next import no longer sees who was deleted, the one before still does.
#[test]
fn an_import_forgets_a_deleted_teams_user() {
    let mut bench = Bench::new();
    bench.edit(WorldEdit::DeleteTeamsUser { teams_user: teams_user_id(ANN).to_string() });
    let imported = |bench: &Bench| bench.world.connectors[&account_key()].imported.contains_key(&teams_user_id(ANN));
    assert!(imported(&bench));
    bench.start(SyncKind::Directory).unwrap();
    bench.pass(90);
    assert!(!imported(&bench));
    assert!(bench.world.find_goto_user(&name(KOFI)).is_ok());
}
