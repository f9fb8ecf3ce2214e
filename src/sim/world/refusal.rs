//! Why the connector refuses a call.

use thiserror::Error;

/// A refusal, by the words of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such account, PBX, user, run, domain or link.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The integration is not visible for that PBX.
    #[error("the integration is not visible for this PBX")]
    NotVisible,
    /// Card 1 is not filled in.
    #[error("the account record comes first")]
    AccountRequired,
    /// The PBX is not bound.
    #[error("the PBX must be bound first")]
    PbxRequired,
    /// Users are still connected.
    #[error("users are still connected")]
    UsersConnected,
    /// The invitation was accepted, so its addressee stays.
    #[error("the invitation was accepted")]
    AlreadyAccepted,
    /// The last owner must stay.
    #[error("the last owner cannot be removed")]
    LastOwner,
    /// Enable Sync comes before Enable Service.
    #[error("Enable Sync comes before Enable Service")]
    SyncMustBeEnabledFirst,
    /// A consent group is not granted.
    #[error("the Global Administrator must grant the permissions first")]
    ConsentRequired,
    /// Nobody signed in for a push.
    #[error("the Global Administrator must sign in first")]
    SignInRequired,
    /// A run of that kind is going on.
    #[error("a run of this kind is going on")]
    SyncRunning {
        /// Its id.
        id: String,
    },
    /// A verification is going on.
    #[error("a verification is going on")]
    VerificationRunning,
    /// Every license is in use, or the integration is not active.
    #[error("no connector license is free")]
    NoLicense,
    /// The Teams user belongs to another pair.
    #[error("the Teams user belongs to another user")]
    TeamsUserTaken,
    /// No directory import has seen the Teams user.
    #[error("no directory import has seen the Teams user")]
    TeamsUserNotImported,
    /// The user is paired with another Teams user.
    #[error("the user is paired with another Teams user")]
    PairExists,
    /// Only a disabled user can be removed.
    #[error("the user must be disabled first")]
    DisableFirst,
    /// The etag is not the current one.
    #[error("the user has changed")]
    PreconditionFailed,
    /// The user has secure calling on.
    #[error("secure calling must be switched off first")]
    SecureCallingEnabled,
    /// The user has no line in the PBX.
    #[error("the user has no line in this PBX")]
    UserNotInPbx,
    /// The number is none of the PBX.
    #[error("the number does not belong to this PBX")]
    NumberNotInPbx,
    /// A value is missing or cannot be.
    #[error("{0}")]
    InvalidValue(&'static str),
    /// The link is used or too old.
    #[error("the link is no longer valid")]
    LinkExpired,
}

impl Refusal {
    /// The HTTP status of the contract.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound(_) | Self::NotVisible => 404,
            Self::ConsentRequired | Self::SignInRequired => 403,
            Self::PreconditionFailed => 412,
            Self::SecureCallingEnabled | Self::UserNotInPbx | Self::NumberNotInPbx | Self::InvalidValue(_) => 422,
            Self::LinkExpired => 410,
            _ => 409,
        }
    }

    /// The `errorCode` of the contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) | Self::NotVisible => "NotFound",
            Self::AccountRequired => "AccountRequired",
            Self::PbxRequired => "PbxRequired",
            Self::UsersConnected => "UsersConnected",
            Self::AlreadyAccepted => "AlreadyAccepted",
            Self::LastOwner => "LastOwner",
            Self::SyncMustBeEnabledFirst => "SyncMustBeEnabledFirst",
            Self::ConsentRequired => "ConsentRequired",
            Self::SignInRequired => "SignInRequired",
            Self::SyncRunning { .. } => "SyncRunning",
            Self::VerificationRunning => "VerificationRunning",
            Self::NoLicense => "NoLicense",
            Self::TeamsUserTaken => "TeamsUserTaken",
            Self::TeamsUserNotImported => "TeamsUserNotImported",
            Self::PairExists => "PairExists",
            Self::DisableFirst => "DisableFirst",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::SecureCallingEnabled => "SecureCallingEnabled",
            Self::UserNotInPbx => "UserNotInPbx",
            Self::NumberNotInPbx => "NumberNotInPbx",
            Self::InvalidValue(_) => "InvalidValue",
            Self::LinkExpired => "LinkExpired",
        }
    }
}
