//! The plan in words; an empty plan prints nothing.

use std::fmt;

use super::{AccountPlan, AccountStep};

impl fmt::Display for AccountPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(problem) = &self.write_gate {
            writeln!(f, "holds writes: {} ({})", problem.reason, problem.message)?;
        }
        for step in &self.steps {
            writeln!(f, "step: {step}")?;
        }
        for step in &self.held_back {
            writeln!(f, "held back: {step}")?;
        }
        for action in &self.pending_actions {
            writeln!(f, "waits: {} {}", action.actor, action.id)?;
        }
        Ok(())
    }
}

impl fmt::Display for AccountStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PutRecord { .. } => f.write_str("enter the managing user at card 1"),
            Self::SendInvitation { .. } => f.write_str("send the invitation to the managing user"),
            Self::PutAdministrator { .. } => f.write_str("enter an administrator"),
            Self::InviteAdministrator { .. } => f.write_str("invite an administrator"),
            Self::RemoveAdministrator { .. } => f.write_str("remove an administrator whom the spec does not list"),
            Self::EnableSync { pbx } => write!(f, "switch on Enable Sync of PBX {pbx}"),
            Self::EnableService { pbx } => write!(f, "switch on Enable Service of PBX {pbx}"),
            Self::RequestConsents { .. } => f.write_str("request links to grant the connector's permissions"),
            Self::AddDomain { name } => write!(f, "add {name} to the tenant"),
            Self::PublishDomainText { name, .. } => write!(f, "publish the text that proves who owns {name}"),
            Self::VerifyDomain { name } => write!(f, "let Microsoft verify {name}"),
            Self::CreateTemporaryUser { domain, .. } => write!(f, "make the temporary user of {domain}"),
            Self::AssignLicense { .. } => f.write_str("give the temporary user a spare license"),
            Self::RemoveLicenses { .. } => f.write_str("take the license back from the temporary user"),
            Self::DeleteTemporaryUser { .. } => f.write_str("delete the temporary user"),
            Self::BindPbx { pbx } => write!(f, "bind PBX {pbx}"),
            Self::UnbindPbx { pbx } => write!(f, "unbind PBX {pbx}"),
            Self::StartVerification { pbx, .. } => write!(f, "verify the connection of PBX {pbx}"),
            Self::StartDirectoryImport { pbx, .. } => write!(f, "start a directory import for PBX {pbx}"),
            Self::RequestPushAuthorization { .. } => f.write_str("request a link to sign in for the push"),
            Self::StartPush { .. } => f.write_str("start a push to Teams"),
        }
    }
}
