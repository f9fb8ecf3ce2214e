//! Assertions in place of a secret: signed with the key of a registered certificate, or a token of a federated issuer.
//!
//! The times of a self-signed assertion are looked at by the clock of the world; those of a cluster's token by the real
//! clock, which its API server stamps it with.

use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::sim::world::Tenant;
use crate::sim::world::applications::{AppCertificate, Application, FederatedCredential};

/// How far clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What an assertion says.
#[derive(Debug, Clone, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audiences,
    exp: i64,
    nbf: Option<i64>,
    jti: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl Audiences {
    fn any(&self, is_it: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(one) => is_it(one),
            Self::Many(many) => many.iter().any(|one| is_it(one)),
        }
    }
}

/// An assertion that came for an application.
pub(super) struct Assertion<'a> {
    pub(super) text: &'a str,
    pub(super) client_id: &'a str,
    /// The URLs by which this token endpoint may be named.
    pub(super) endpoints: &'a [String],
    pub(super) now: Timestamp,
    pub(super) real_now: Timestamp,
}

/// What is to be remembered of an accepted assertion: its id, and until when.
pub(super) type Used = Option<(String, Timestamp)>;

impl Assertion<'_> {
    /// The AADSTS number if it does not stand for the application.
    pub(super) fn check(&self, tenant: &Tenant, application: &Application) -> Result<Used, u64> {
        let decoded = insecure_decode::<Claims>(self.text).map_err(|_| 50_027_u64)?;
        let (header, claims) = (decoded.header, decoded.claims);
        if header.x5t_s256.is_some() || claims.iss == self.client_id {
            return self.certificate(tenant, application, &header, claims);
        }
        self.federated(tenant, application, &header, &claims)
    }

    fn certificate(
        &self,
        tenant: &Tenant,
        application: &Application,
        header: &Header,
        claims: Claims,
    ) -> Result<Used, u64> {
        let named = |certificate: &&AppCertificate| certificate.thumbprint() == header.x5t_s256;
        let certificate = application.certificates.iter().find(named).ok_or(50_012_u64)?;
        let key = DecodingKey::from_rsa_pem(certificate.pem.as_bytes()).map_err(|_| 50_012_u64)?;
        let ended = certificate.expires_at.is_some_and(|end| end <= self.now);
        let own = claims.iss == self.client_id && claims.sub == self.client_id;
        let here = claims.aud.any(|audience| self.endpoints.iter().any(|endpoint| endpoint == audience));
        let used = claims.jti.as_ref().is_none_or(|id| tenant.assertions.contains_key(id));
        if ended || !own || !here || used || !self.is_signed(&key, Algorithm::PS256) {
            return Err(50_012);
        }
        within(&claims, self.now)?;
        Ok(claims.jti.zip(Timestamp::from_second(claims.exp).ok()))
    }

    fn federated(
        &self,
        tenant: &Tenant,
        application: &Application,
        header: &Header,
        claims: &Claims,
    ) -> Result<Used, u64> {
        let known = |it: &&FederatedCredential| it.known_since.is_none_or(|since| since <= self.now);
        let known: Vec<_> = application.federated.iter().filter(known).collect();
        let matches = |it: &&FederatedCredential| {
            it.issuer == claims.iss && it.subject == claims.sub && claims.aud.any(|one| one == it.audience)
        };
        if !known.iter().any(&matches) {
            return Err(mismatch(application, &known, claims, matches));
        }
        let keys = tenant.issuers.get(&claims.iss).cloned().unwrap_or_default();
        let keys: JwkSet = serde_json::from_value(keys).map_err(|_| 50_012_u64)?;
        let named = keys.keys.iter().filter(|key| header.kid.is_none() || key.common.key_id == header.kid);
        let mut named = named.filter_map(|key| DecodingKey::from_jwk(key).ok());
        if !named.any(|key| self.is_signed(&key, Algorithm::RS256)) {
            return Err(50_012);
        }
        within(claims, self.real_now).map(|()| None)
    }

    fn is_signed(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        let mut validation = Validation::new(algorithm);
        (validation.validate_exp, validation.validate_aud) = (false, false);
        validation.required_spec_claims.clear();
        decode::<Claims>(self.text, key, &validation).is_ok()
    }
}

/// Which part of the credential does not match; one that is too new is as if it were not there.
fn mismatch(
    application: &Application,
    known: &[&FederatedCredential],
    claims: &Claims,
    matches: impl Fn(&&FederatedCredential) -> bool,
) -> u64 {
    if known.is_empty() || application.federated.iter().any(|it| matches(&it)) {
        return 70_021;
    }
    let of_issuer: Vec<_> = known.iter().filter(|it| it.issuer == claims.iss).collect();
    if of_issuer.is_empty() {
        return 700_211;
    }
    if of_issuer.iter().any(|it| it.subject == claims.sub) { 7_002_121 } else { 700_213 }
}

fn within(claims: &Claims, now: Timestamp) -> Result<(), u64> {
    let time = |seconds| Timestamp::from_second(seconds).map_err(|_| 700_024_u64);
    let late = now.saturating_sub(SKEW).unwrap_or(now) >= time(claims.exp)?;
    let early = match claims.nbf {
        Some(nbf) => now.saturating_add(SKEW).unwrap_or(now) < time(nbf)?,
        None => false,
    };
    if late || early { Err(700_024) } else { Ok(()) }
}
