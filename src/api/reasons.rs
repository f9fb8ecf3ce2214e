//! Every reason that a condition, a run or a user can show: one enum, one table.
//!
//! A reason that is not in the table cannot be shown; `docs/runbook.md` is generated from the same rows.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Actor {
    /// Global Administrator of the Microsoft 365 tenant.
    GlobalAdministrator,
    /// Super admin of the GoTo account.
    GoToSuperAdministrator,
    /// The connector's managing user.
    Manager,
    /// Whoever buys licenses.
    Purchasing,
    /// The team that applies the manifests.
    PlatformTeam,
    /// Whoever may decide about runs.
    Approver,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GlobalAdministrator => "GlobalAdministrator",
            Self::GoToSuperAdministrator => "GoToSuperAdministrator",
            Self::Manager => "Manager",
            Self::Purchasing => "Purchasing",
            Self::PlatformTeam => "PlatformTeam",
            Self::Approver => "Approver",
        })
    }
}

/// How a reason shows in the conditions of its object, and so when the object is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All is well: Ready=True.
    Ready,
    /// A machine is waited for: Reconciling=True.
    Waiting,
    /// A human is waited for: Reconciling=True and ActionRequired=True.
    Human,
    /// Repeating cannot help: Stalled=True.
    Stalled,
    /// A try failed and is repeated with growing distance: Reconciling=True, Ready as it was.
    Retry,
    /// Nothing to do with readiness.
    Advice,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct ReasonInfo {
    /// What is the matter.
    pub cause: &'static str,
    /// What to do next.
    pub next: &'static str,
    /// Who does it; nobody when a machine is waited for.
    pub actor: Option<Actor>,
    /// How it shows.
    pub shown: Shown,
}

/// Defines the reasons and their rows together, so that neither can lack the other.
macro_rules! reasons {
    ($($name:ident: $shown:ident, $actor:expr, $cause:literal, $next:literal;)*) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason { $(#[doc = $cause] $name,)* }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name, as it is shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The row of the table.
            #[must_use]
            pub const fn info(self) -> ReasonInfo {
                match self { $(Self::$name => ReasonInfo { cause: $cause, next: $next, actor: $actor, shown: Shown::$shown },)* }
            }
        }
    };
}

const ANYBODY: Option<Actor> = None;
const GLOBAL: Option<Actor> = Some(Actor::GlobalAdministrator);
const SUPER: Option<Actor> = Some(Actor::GoToSuperAdministrator);
const MANAGER: Option<Actor> = Some(Actor::Manager);
const BUYER: Option<Actor> = Some(Actor::Purchasing);
const TEAM: Option<Actor> = Some(Actor::PlatformTeam);
const APPROVER: Option<Actor> = Some(Actor::Approver);

reasons! {
    // Account
    Succeeded: Ready, ANYBODY, "What the condition says holds.", "Nothing.";
    WaitingForPrerequisite: Waiting, ANYBODY, "An earlier step of the set-up is not done.", "Nothing here: see the earlier condition.";
    NotEntitled: Human, BUYER, "The Teams Connector integration is not active for the PBX, or has no licenses.", "Buy it through the sales contact of GoTo; the card GoTo Connect Teams Connector then shows at https://my.jive.com/integrations/.";
    InvitationPending: Human, MANAGER, "The managing user has not opened the invitation.", "Open the link in the invitation mail, or sign in at https://admin.goto.team.com.";
    InvitationExpired: Stalled, TEAM, "The invitation of the managing user expired unopened.", "Set the annotation teamsconnector.dev/resendInvitation to a new value: it is sent again, once for each value.";
    ManagerMismatch: Human, TEAM, "Another managing user than spec.manager accepted the invitation, and the connector keeps whoever accepted.", "Put that person into spec.manager.";
    AdministratorPending: Human, MANAGER, "An administrator of spec.administrators has not opened the invitation; telephony goes on.", "Remind those whom status.administrators shows as Invited: the link is in the invitation mail.";
    AdministratorExpired: Stalled, TEAM, "The invitation of an administrator expired unopened; telephony goes on.", "Set the annotation teamsconnector.dev/resendInvitation to a new value, or take the administrator out of spec.administrators.";
    LastOwner: Stalled, TEAM, "The spec would leave the connector's account without an owner, so the last one keeps the role.", "Give somebody else the role Owner in spec.administrators, and wait until that invitation is accepted.";
    AwaitingConsent: Human, GLOBAL, "The connector has not been granted its permissions in the tenant.", "Open the link and sign in as Global Administrator: card #3, Services > Teams, grant the permissions.";
    ConsentRevoked: Human, GLOBAL, "A permission that the connector had been granted was taken back.", "Open the link and sign in as Global Administrator: card #3, Services > Teams, grant the permissions again.";
    AwaitingPushSignIn: Human, GLOBAL, "Changes wait to be pushed to Teams, and the push needs a sign-in.", "Open the link and sign in as Global Administrator: card #6 Sync Now.";
    ServiceDisabled: Waiting, ANYBODY, "Enable Sync or Enable Service is off at #3, Services > Teams.", "Nothing: Enable Sync is switched on, then Enable Service.";
    PermissionMissing: Human, GLOBAL, "The operator's own credentials lack a permission.", "Grant the named permission and consent to it.";
    NotSuperAdministrator: Human, SUPER, "The GoTo credentials do not belong to a super admin, or lack the scope identity:.", "Give the user of the credentials the super admin role, or use credentials that have role and scope.";
    DomainUnverified: Human, GLOBAL, "A Direct Routing domain is not verified in the tenant.", "Finish the verification of the domain.";
    DomainVerificationPending: Waiting, ANYBODY, "A Direct Routing domain is being verified; until the published record is seen everywhere up to 48 hours are normal.", "Nothing: it is looked at again.";
    NoSpareLicense: Human, BUYER, "The tenant has no spare license for the temporary user that activates the domain.", "Free or buy one license with Teams for a person for the time of the set-up: Business Essentials, Business Premium, E1, E3 or E5 fit; it comes back at the end.";
    TemporaryUserConflict: Human, GLOBAL, "Somebody else made a user with the name of the temporary user.", "Rename or delete the user teams-connector-activation of the domain in the Microsoft 365 admin center.";
    DomainActivationPending: Waiting, ANYBODY, "Microsoft is activating the Direct Routing domain; this takes up to 24 hours.", "Nothing: it is looked at again.";
    DomainActivationStuck: Human, SUPER, "A Direct Routing domain was refused or is not activated after 36 hours.", "Look at the failure in the connector portal; the last resort is the account or project manager at GoTo.";
    TemporaryUserLeftover: Human, GLOBAL, "The temporary user of the set-up still exists.", "Delete the temporary user in the Microsoft 365 admin center; it holds a license.";
    VerificationFailed: Human, SUPER, "The verification of the connection failed or is older than the consent or the binding.", "Mend the failed check, then press Verify connection at #4 or set the annotation teamsconnector.dev/requestedAt.";
    VerificationRunning: Waiting, ANYBODY, "The verification of the connection is running.", "Nothing: it is looked at again.";
    PbxNotFound: Stalled, TEAM, "The PBX of the spec does not exist in the GoTo account, or the account does not list it.", "Correct organizationId, or add the PBX to the account.";
    PbxInUse: Advice, TEAM, "A PBX was taken from the spec and is still bound: a policy names it, or users of it are connected.", "Delete the policy of the PBX and disconnect its users, or put the PBX back into spec.pbxs.";
    TenantMismatch: Stalled, TEAM, "The GoTo account or the tenant is not the one that the credentials belong to.", "Correct the account key, the tenant or the credentials.";
    GoToUnreachable: Retry, ANYBODY, "GoTo could not be read.", "Nothing: it is tried again with growing distance.";
    MicrosoftUnreachable: Retry, ANYBODY, "Microsoft could not be read.", "Nothing: it is tried again with growing distance.";
    ConnectorUnreachable: Retry, ANYBODY, "The connector could not be read.", "Nothing: it is tried again with growing distance.";
    RequestRefused: Retry, TEAM, "A vendor refused a request as wrong, or as not fitting the state there.", "See the code in the message and the vendor's portal; it is tried again with growing distance.";
    RateLimited: Retry, ANYBODY, "A vendor asked for patience.", "Nothing: no call is sent before the time it named.";
    SecretNotFound: Human, TEAM, "A Secret that the spec names does not exist.", "Create the Secret in the namespace of the account.";
    KeyMissing: Human, TEAM, "A Secret that the spec names lacks a key.", "Add the named key to the Secret.";
    CredentialsRejected: Human, TEAM, "A vendor refused the credentials.", "Put valid credentials into the named Secret.";
    CredentialsExpired: Human, TEAM, "The credentials are no longer valid.", "Create new ones and put them into the named Secret.";
    ImportOverdue: Human, SUPER, "No directory import has succeeded, or the running one takes longer than it should.", "At #3 look at the tick beside Sync Now and press Sync Now there; failures are seen in the connector portal.";
    PushFailed: Human, SUPER, "The last push to Teams failed.", "Failures are seen in the connector portal. Mend the cause, then press #6 Sync Now or set the annotation teamsconnector.dev/requestedAt; a newer change is pushed by itself.";
    InvalidSpec: Stalled, TEAM, "The spec cannot be used as it is.", "Correct the named field.";
    SecretUnreadable: Retry, ANYBODY, "The API server could not tell about a Secret.", "Nothing: it is asked again with growing distance.";
    TokenNotStored: Human, TEAM, "A rotated refresh token cannot be stored, so the access token that came with it is not used.", "Let the operator create and patch the Secret teams-connector-tokens in the account's namespace: see roles, quotas and admission policies.";
    Progressing: Waiting, ANYBODY, "The first reading or a change is under way.", "Nothing.";
    // Policy
    AccountNotFound: Human, TEAM, "The account that the policy names does not exist.", "Create the account; the policy continues by itself.";
    ConnectorStrange: Human, TEAM, "Most users whom the policy connected are not in the connector that was read, so nothing is written there.", "Correct spec.connector.api.endpoint of the account; if it is right, set the annotation teamsconnector.dev/requestedAt on the policy, which adds them again.";
    AccountNotReady: Waiting, ANYBODY, "The account is not ready for writes.", "See the conditions of the account.";
    ConflictingPolicy: Stalled, TEAM, "An older policy manages the same PBX of the same account.", "Delete one of the two.";
    SourceIncomplete: Retry, ANYBODY, "A source could not be read completely, so nothing is concluded from it.", "Nothing: it is read again.";
    FailureLimitReached: Retry, ANYBODY, "Too many writes of the last run failed.", "See the failed users; it is tried again with growing distance.";
    ChangesPending: Waiting, ANYBODY, "Users are being connected.", "Nothing.";
    AwaitingApproval: Human, APPROVER, "A run waits for a decision; nothing of it is carried out before.", "Look at the run's spec.actions, then set its spec.decision to Approve or Deny.";
    RemovalGuardAhead: Advice, APPROVER, "More users are in their grace period than spec.removal.guard lets lose service.", "Look at the Retained users: mend the cause before the grace period is over, or be ready to decide.";
    RemovalGuardTripped: Human, APPROVER, "More users would lose service within the window than spec.removal.guard allows; nobody does.", "Mend the cause, or look at the run's spec.actions and set its spec.decision to Approve or Deny.";
    RemovalsResting: Waiting, ANYBODY, "Every user object and run of the policy had vanished, so who lost service before is not known; nobody does for the window of spec.removal.guard.", "Nothing: removals go on when the window is over.";
    ProtectedUserNotFound: Human, TEAM, "An entry of spec.protectedUsers names nobody; all removals are held.", "Correct the entry, or take it out of the list.";
    Deleting: Waiting, ANYBODY, "The policy is being deleted; whoever it added is being disconnected.", "Nothing.";
    DeletionAwaitingApproval: Human, APPROVER, "The policy is being deleted with deletionPolicy Delete, and the run that disconnects whoever it added waits for a decision; nobody loses service before.", "Look at the run's spec.actions and set its spec.decision, or set spec.deletionPolicy to Orphan: then everybody keeps service and the policy goes.";
    DeletionDenied: Human, TEAM, "The policy is being deleted with deletionPolicy Delete, and the run that disconnects whoever it added was denied.", "Set spec.deletionPolicy to Orphan, and everybody keeps service. For a new run delete the denied one or set the annotation teamsconnector.dev/requestedAt; the annotation teamsconnector.dev/force-finalize ends the deletion too.";
    DeletionForced: Advice, ANYBODY, "The annotation teamsconnector.dev/force-finalize ended the deletion of the policy; whoever was left keeps service.", "Nothing, or remove whoever was left in the connector portal.";
    NamespaceTerminating: Advice, ANYBODY, "The namespace is being deleted, so deletionPolicy Delete counts as Orphan; whoever the policy added keeps service.", "Nothing, or remove whoever was left in the connector portal.";
    InvalidMapping: Advice, TEAM, "Rows of spec.matching.manual are rejected; the others count.", "Correct the rows that status.mapping names.";
    AwaitingPush: Waiting, ANYBODY, "Changes are in the connector and wait for the push to Teams.", "Nothing here: see the pending action of the account.";
    Drifted: Advice, ANYBODY, "A directory differs from what was applied.", "See the users that are not Ready.";
    InSync: Ready, ANYBODY, "Every user that can be connected is connected.", "Nothing.";
    Suspended: Advice, TEAM, "The object is suspended or paused.", "Set spec.suspend to false, or remove the annotation teamsconnector.dev/paused.";
    // Run
    Running: Waiting, ANYBODY, "The run is being executed.", "Nothing.";
    Applied: Ready, ANYBODY, "Every write of the run was accepted.", "Nothing.";
    PartiallyApplied: Ready, ANYBODY, "Some writes of the run were accepted; the rest was skipped or failed.", "See the failures of the run.";
    RunFailed: Stalled, ANYBODY, "The writes of the run failed.", "See the failures of the run; a new run follows.";
    Denied: Ready, ANYBODY, "The run was denied; nothing more of it is carried out, and it is not proposed again while it concerns the same users.", "Nothing. To change the decision, delete the run: a new one is proposed.";
    Superseded: Ready, ANYBODY, "Another plan took the place of the run.", "Nothing.";
    // User
    NoLine: Advice, SUPER, "The user has no line in the PBX.", "Assign a line to the user in GoTo, or leave it.";
    MissingEmail: Advice, SUPER, "The user has no e-mail address in GoTo.", "Enter the e-mail address in GoTo.";
    NoMatch: Advice, TEAM, "No Microsoft user has the user's address, and no row of spec.matching.manual names the user.", "Make the addresses equal, or add a row.";
    AmbiguousMatch: Advice, GLOBAL, "Several Microsoft users have the user's address.", "Leave the address to one of them.";
    DuplicateEmail: Advice, SUPER, "Several GoTo users have the same address.", "Leave the address to one of them.";
    MappingRejected: Advice, TEAM, "The row of spec.matching.manual for the user is rejected, so the user is matched with nobody.", "Correct the row: status.mapping tells what is wrong with it.";
    ExchangePending: Advice, TEAM, "The row of spec.matching.manual names another Microsoft user than the one the user is connected with; the old pair is kept until the grace period is over, and always under Retain.", "Nothing, or correct the row.";
    AccountDisabled: Advice, GLOBAL, "Sign-in of the Microsoft user is blocked.", "Allow sign-in, or leave the user out.";
    GuestOrResourceAccount: Advice, GLOBAL, "The Microsoft user is a guest or a resource account.", "Use the address of a member.";
    HomedOnPremises: Advice, GLOBAL, "The Microsoft user is homed on premises.", "Move the user to Teams online.";
    NoTeamsLicense: Advice, GLOBAL, "The Microsoft user has no service plan for Teams.", "Assign a Microsoft license with Teams.";
    NoPhoneSystemLicense: Advice, GLOBAL, "The Microsoft user has no service plan for Phone System.", "Assign Teams Phone Standard or a license that contains it, such as E5.";
    CallingPlanConflict: Advice, GLOBAL, "The Microsoft user has a number of a calling plan or an operator.", "Take that number away first.";
    LicensePropagating: Waiting, ANYBODY, "Microsoft has not set up the licensed user yet; this takes up to 24 hours.", "Nothing: it is looked at again.";
    SecureCallingEnabled: Advice, SUPER, "Secure calling is on for the user's line.", "Turn secure calling off for the user in GoTo.";
    NumberMissing: Advice, SUPER, "No telephone number is routed to the user's primary extension.", "Route a number to the extension in GoTo.";
    NumberInvalid: Advice, SUPER, "The routed number is not in E.164 form.", "Correct the number in GoTo.";
    NumberInUse: Advice, GLOBAL, "Another Microsoft user has the number.", "Take the number from the other user.";
    NumberOwnedOnPremises: Advice, GLOBAL, "The number is managed by the on-premises directory.", "Release it there.";
    NumberMismatch: Advice, SUPER, "Teams has another number than the PBX routes to the user.", "Compare the number at #5 of the card GoTo Connect Teams Connector, correct it there or in GoTo, and press #6 Sync Now.";
    ConnectorLicenseExhausted: Advice, BUYER, "No connector license is left for the user.", "Buy more connector licenses, or free one.";
    TeamsUserNotImported: Waiting, ANYBODY, "The connector does not know the Microsoft user yet.", "Nothing: a directory import is started.";
    TeamsUserTaken: Advice, SUPER, "The Microsoft user is paired with another GoTo user in the connector.", "Remove the other pair in the connector.";
    ForeignUser: Advice, TEAM, "The user is in the connector, but this policy neither added nor adopted the user.", "Nothing: reported only.";
    RegistrationFailed: Advice, SUPER, "The line could not register.", "Failures are seen in the connector portal; the last resort is the account or project manager at GoTo.";
    RegistrationExpired: Advice, SUPER, "The line is no longer registered.", "Failures are seen in the connector portal; the last resort is the account or project manager at GoTo.";
    VoiceNotEnabled: Advice, SUPER, "Enterprise voice is off in Teams.", "Press #6 Sync Now of the card GoTo Connect Teams Connector: a push sets it again.";
    Disconnected: Advice, TEAM, "Somebody disabled or deleted the user in the connector.", "Reported; corrected after the annotation requestedAt.";
    InGracePeriod: Advice, TEAM, "The user is no longer called for; nothing is taken away before the grace period ends, and never under Retain.", "Nothing, or mend the cause: see the stage.";
    Protected: Advice, TEAM, "The user is no longer called for, but protected: nothing is taken away.", "Nothing, or take the user out of spec.protectedUsers.";
    ApprovalPending: Advice, APPROVER, "A run about the user waits for a decision.", "Look at the run's spec.actions, then set its spec.decision.";
    RemovalHeld: Advice, ANYBODY, "The user is no longer called for and waits for the next run that takes service away.", "Nothing: see the conditions of the policy.";
    StillPresent: Advice, ANYBODY, "Looked up by id just before the removal, the user was still there, or whom a row names instead no longer; nothing was taken away.", "Nothing: it is read again.";
    Removing: Waiting, ANYBODY, "Service is being taken away.", "Nothing.";
    Removed: Advice, ANYBODY, "A run of this policy took service away; the old values are in lastChange.before.", "Nothing. Whoever is called for again is connected again.";
    Replaced: Advice, ANYBODY, "The user was created again in GoTo under another key, and that key has the service now; the old values are in lastChange.before.", "Nothing.";
    AcceptedWithoutEffect: Retry, SUPER, "The connector accepted a change and does not show it.", "If it lasts, look at the connector portal; the last resort is the account or project manager at GoTo. It is sent again with growing distance.";
    Rejected: Advice, TEAM, "The connector refused the user.", "See the message.";
    Throttled: Waiting, ANYBODY, "The connector asked for patience.", "Nothing: it is tried again.";
    Connected: Ready, ANYBODY, "Number, voice and registration were read back.", "Nothing.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reason {
    /// Cause, next action and who acts, as the message of a condition.
    #[must_use]
    pub fn message(self) -> String {
        let info = self.info();
        match info.actor {
            Some(actor) => format!("{} {actor}: {}", info.cause, info.next),
            None if info.next == "Nothing." => info.cause.to_owned(),
            None => format!("{} {}", info.cause, info.next),
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}
