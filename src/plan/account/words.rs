//! What the set-up guide calls things: who acts and what exactly to click, for each reason that a human can mend.

use crate::api::Reason;

/// Where the integrations dashboard is.
const DASHBOARD: &str = "https://my.jive.com/integrations/";
/// Where the managing user signs in.
const PORTAL: &str = "https://admin.goto.team.com";

/// A pending action in the words of the guide.
pub(super) struct Words {
    /// Stable name of the action.
    pub(super) id: &'static str,
    /// For the column.
    pub(super) short: &'static str,
    /// What to do, with the click path.
    pub(super) path: &'static str,
    /// Where, if it is the same for everybody.
    pub(super) link: Option<&'static str>,
}

const fn words(id: &'static str, short: &'static str, path: &'static str, link: Option<&'static str>) -> Words {
    Words { id, short, path, link }
}

/// The pending action for a reason; `None`: no human can act on it here.
pub(super) const fn of(reason: Reason) -> Option<Words> {
    let dashboard = Some(DASHBOARD);
    Some(match reason {
        Reason::SecretNotFound => {
            words("CreateSecret", "create the Secret", "Create the named Secret in the namespace of the account.", None)
        }
        Reason::KeyMissing => words("CompleteSecret", "complete the Secret", "Add the named key to the Secret.", None),
        Reason::CredentialsRejected | Reason::CredentialsExpired => {
            words("RenewCredentials", "renew the credentials", "Put valid credentials into the named Secret.", None)
        }
        Reason::NotSuperAdministrator => words(
            "UseSuperAdministrator",
            "use a super admin's credentials",
            "Give the user of the GoTo credentials the super admin role, or put a super admin's credentials into the Secret.",
            None,
        ),
        Reason::PermissionMissing => words(
            "GrantPermissions",
            "grant the missing permission",
            "Add the named permission to the operator's own credentials and grant consent to it.",
            None,
        ),
        Reason::NotEntitled => words(
            "BuyIntegration",
            "buy the Teams Connector",
            "Buy the Teams Connector integration through the sales contact of GoTo; it then shows in the integrations dashboard as the card GoTo Connect Teams Connector (General in the side bar, then the drop-down with the PBX).",
            dashboard,
        ),
        _ => return of_set_up(reason),
    })
}

const fn of_set_up(reason: Reason) -> Option<Words> {
    let dashboard = Some(DASHBOARD);
    Some(match reason {
        Reason::ManagerMismatch => words(
            "CorrectManager",
            "correct spec.manager",
            "Put whoever accepted the invitation at #1 of the card GoTo Connect Teams Connector into spec.manager.",
            dashboard,
        ),
        Reason::InvitationPending => words(
            "AcceptInvitation",
            "accept the invitation",
            "Open the link in the invitation mail, or sign in at https://admin.goto.team.com.",
            Some(PORTAL),
        ),
        Reason::AdministratorPending => words(
            "RemindAdministrators",
            "remind the invited administrators",
            "Remind whoever was invited by Account > Invite Administrative User and has not opened the link in the mail.",
            Some(PORTAL),
        ),
        Reason::AwaitingConsent | Reason::ConsentRevoked => words(
            "GrantConsent",
            "grant consent",
            "Open the link and sign in as Global Administrator: card #3, Services > Teams, grant the permissions.",
            None,
        ),
        Reason::ImportOverdue => words(
            "StartDirectoryImport",
            "look at the directory import",
            "At #3 look at the tick beside Sync Now; failures are seen in the connector portal. Press Sync Now there.",
            dashboard,
        ),
        Reason::VerificationFailed => words(
            "VerifyConnection",
            "verify the connection",
            "Mend the failed check, then press Verify connection at #4, or set the annotation teamsconnector.dev/requestedAt.",
            dashboard,
        ),
        _ => return of_tenant(reason),
    })
}

const fn of_tenant(reason: Reason) -> Option<Words> {
    Some(match reason {
        Reason::DomainUnverified => words(
            "VerifyDomain",
            "verify the domain",
            "In the Microsoft 365 admin center verify the named Direct Routing domain.",
            None,
        ),
        Reason::NoSpareLicense => words(
            "FreeLicense",
            "free one Microsoft license",
            "Free or buy one Microsoft license for the temporary user of the set-up: Business Essentials, Business Premium, E1, E3 or E5.",
            None,
        ),
        Reason::TemporaryUserConflict => words(
            "RenameUser",
            "rename the user in the way",
            "In the Microsoft 365 admin center rename or delete the user teams-connector-activation of the named domain.",
            None,
        ),
        Reason::DomainActivationStuck => words(
            "AskSupportForDomain",
            "ask GoTo support about the domain",
            "Failures are seen in the connector portal; the last resort is the account or project manager at GoTo.",
            Some(PORTAL),
        ),
        Reason::TemporaryUserLeftover => words(
            "DeleteTemporaryUser",
            "delete the temporary user",
            "In the Microsoft 365 admin center delete the temporary user of the set-up; it holds a license (Business Essentials, Business Premium, E1, E3 or E5).",
            None,
        ),
        Reason::AwaitingPushSignIn => words(
            super::pending::SIGN_IN_FOR_PUSH,
            "sign in for the push",
            "Open the link and sign in as Global Administrator: card #6 Sync Now.",
            None,
        ),
        Reason::PushFailed => words(
            "InspectPush",
            "see why the push failed",
            "Failures are seen in the connector portal. Mend the cause, then press #6 Sync Now, or set the annotation teamsconnector.dev/requestedAt.",
            Some(PORTAL),
        ),
        _ => return None,
    })
}
