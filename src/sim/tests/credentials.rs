use std::sync::OnceLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use k8s_openapi::jiff::SignedDuration;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use sha2::{Digest as _, Sha256};

use super::*;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const SUBJECT: &str = "system:serviceaccount:telephony:connector";
const AUDIENCE: &str = "api://AzureADTokenExchange";
const KEY_ID: &str = "key-1";

/// RSA keys take their time: two for all tests.
fn keys() -> &'static [KeyPair; 2] {
    static KEYS: OnceLock<[KeyPair; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [(), ()].map(|()| KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()))
}

fn signing(key: &KeyPair) -> EncodingKey {
    EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap()
}

/// A certificate and its thumbprint.
fn certificate() -> (String, String) {
    static CERTIFICATE: OnceLock<(String, String)> = OnceLock::new();
    let made = || {
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&keys()[0]).unwrap();
        (certificate.pem(), BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der())))
    };
    CERTIFICATE.get_or_init(made).clone()
}

/// The public half of a key as an API server publishes it.
fn jwks(key: &KeyPair) -> Value {
    let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&signing(key), Algorithm::RS256).unwrap();
    jwk.common.key_id = Some(KEY_ID.to_owned());
    json!({"keys": [jwk]})
}

impl Bench {
    /// What the token endpoint says to an assertion: status, and AADSTS number of a refusal.
    async fn assert(&self, assertion: &str) -> (u16, Option<u64>) {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", test::ENTRA_CLIENT_ID),
            ("scope", "https://graph.microsoft.com/.default"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        let (status, body) = read(self.entra_call(&fields)).await;
        (status, body["error_codes"][0].as_u64())
    }

    /// The claims of section 2.2.
    fn own_claims(&self) -> Value {
        let now = self.sim.now().as_second();
        let audience = format!("{}/{}/oauth2/v2.0/token", self.sim.endpoints().entra, test::TENANT_ID);
        json!({
            "aud": audience,
            "iss": test::ENTRA_CLIENT_ID,
            "sub": test::ENTRA_CLIENT_ID,
            "jti": uuid::Uuid::new_v4(),
            "nbf": now,
            "iat": now,
            "exp": now + 300,
        })
    }
}

fn self_signed(claims: &Value, change: impl FnOnce(&mut Header), key: &KeyPair) -> String {
    let mut header = Header::new(Algorithm::PS256);
    header.x5t_s256 = Some(certificate().1);
    change(&mut header);
    encode(&header, claims, &signing(key)).unwrap()
}

/// The claims of a token that an API server issues now.
fn cluster_claims() -> Value {
    let now = Timestamp::now().as_second();
    json!({"aud": [AUDIENCE], "iss": ISSUER, "sub": SUBJECT, "iat": now, "nbf": now, "exp": now + 3600})
}

fn federated(claims: &Value, algorithm: Algorithm, key: &KeyPair) -> String {
    let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(algorithm) };
    encode(&header, claims, &signing(key)).unwrap()
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

/// Section 2.2: a signed assertion opens what its certificate is registered for.
#[tokio::test]
async fn an_assertion_is_accepted_once_and_opens_graph() {
    let bench = Bench::demo().await;
    bench.edit(json!({"edit": "addCertificate", "pem": certificate().0}));
    bench.edit(json!({"edit": "removeClientSecret", "value": test::ENTRA_CLIENT_SECRET}));
    let assertion = self_signed(&bench.own_claims(), |_| (), &keys()[0]);
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", test::ENTRA_CLIENT_ID),
        ("scope", "https://graph.microsoft.com/.default"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
    ];
    let (status, body) = read(bench.entra_call(&fields)).await;
    assert_eq!(status, 200, "{body}");
    bench.ok(Api::Graph, "/v1.0/organization", body["access_token"].as_str().unwrap()).await;
    assert_eq!(bench.assert(&assertion).await, (401, Some(50_012)), "a jti is good once");
    let vendors = with(
        bench.own_claims(),
        "aud",
        json!(format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", test::TENANT_ID)),
    );
    assert_eq!(bench.assert(&self_signed(&vendors, |_| (), &keys()[0])).await.0, 200);
}

#[tokio::test]
async fn every_flaw_of_a_self_signed_assertion_is_refused() {
    let bench = Bench::demo().await;
    let good = || self_signed(&bench.own_claims(), |_| (), &keys()[0]);
    assert_eq!(bench.assert(&good()).await, (401, Some(50_012)), "the certificate is not registered");
    bench.edit(json!({"edit": "addCertificate", "pem": certificate().0, "expiresAt": "2026-01-05T09:00:00Z"}));
    assert_eq!(bench.assert(&good()).await.0, 200);
    let claims = |name: &str, value: Value| self_signed(&with(bench.own_claims(), name, value), |_| (), &keys()[0]);
    let now = bench.sim.now().as_second();
    let flaws = [
        (claims("iss", json!("somebody")), 50_012),
        (claims("sub", json!("somebody")), 50_012),
        (claims("aud", json!("https://elsewhere.example/token")), 50_012),
        (claims("jti", Value::Null), 50_012),
        (claims("exp", json!(now - 301)), 700_024),
        (claims("nbf", json!(now + 301)), 700_024),
        (self_signed(&bench.own_claims(), |_| (), &keys()[1]), 50_012),
        (self_signed(&bench.own_claims(), |header| header.alg = Algorithm::RS256, &keys()[0]), 50_012),
        (self_signed(&bench.own_claims(), |header| header.x5t_s256 = Some("x".to_owned()), &keys()[0]), 50_012),
        ("e30.e30.e30".to_owned(), 50_027),
    ];
    for (index, (assertion, number)) in flaws.into_iter().enumerate() {
        assert_eq!(bench.assert(&assertion).await.1, Some(number), "flaw {index}");
    }
    bench.advance("1h").await;
    assert_eq!(bench.assert(&good()).await.1, Some(50_012), "the certificate has ended");
    let wrong = serde_json::from_value(json!({"edit": "addCertificate", "pem": "no certificate"})).unwrap();
    assert!(bench.sim.world().edit(wrong, bench.sim.now()).is_err());
}

async fn federated_bench() -> Bench {
    let bench = Bench::demo().await;
    bench.edit(json!({
        "edit": "addFederatedCredential", "issuer": ISSUER, "subject": SUBJECT, "audience": AUDIENCE, "keys": jwks(&keys()[1]),
    }));
    bench
}

/// Section 2.3: for the first seconds a new federated credential is as if it were not there.
#[tokio::test]
async fn a_new_federated_credential_is_not_known_at_once() {
    let bench = federated_bench().await;
    let token = federated(&cluster_claims(), Algorithm::RS256, &keys()[1]);
    assert_eq!(bench.assert(&token).await, (400, Some(70_021)));
    bench.advance("59s").await;
    assert_eq!(bench.assert(&token).await.1, Some(70_021));
    bench.advance("1s").await;
    assert_eq!(bench.assert(&token).await.0, 200);
    assert_eq!(bench.assert(&token).await.0, 200, "a cluster's token is used until it ends");
    bench.edit(json!({"edit": "removeFederatedCredentials"}));
    assert_eq!(bench.assert(&token).await, (400, Some(70_021)));
}

#[tokio::test]
async fn every_flaw_of_a_federated_token_has_its_number() {
    let bench = federated_bench().await;
    bench.advance("1m").await;
    let claims =
        |name: &str, value: Value| federated(&with(cluster_claims(), name, value), Algorithm::RS256, &keys()[1]);
    let real_now = Timestamp::now().as_second();
    let flaws = [
        (claims("iss", json!("https://other.example")), 400, 700_211),
        (claims("sub", json!(SUBJECT.to_uppercase())), 400, 700_213),
        (claims("aud", json!("https://graph.example")), 400, 7_002_121),
        (claims("exp", json!(real_now - 600)), 401, 700_024),
        (claims("nbf", json!(real_now + 600)), 401, 700_024),
        (federated(&cluster_claims(), Algorithm::RS256, &keys()[0]), 401, 50_012),
        (federated(&cluster_claims(), Algorithm::PS256, &keys()[1]), 401, 50_012),
    ];
    for (token, status, number) in flaws {
        assert_eq!(bench.assert(&token).await, (status, Some(number)));
    }
    bench.edit(json!({"edit": "changeSettings", "settings": {"graph": {"invalidClientStatus": 400}}}));
    let forged = federated(&cluster_claims(), Algorithm::RS256, &keys()[0]);
    assert_eq!(bench.assert(&forged).await, (400, Some(50_012)));
}

/// Section 18.1.1: during a rotation the old and the new secret are both good.
#[tokio::test]
async fn several_secrets_are_good_until_they_end() {
    let bench = Bench::demo().await;
    bench.edit(json!({"edit": "addClientSecret", "value": "test-second", "expiresAt": "2026-01-05T10:00:00Z"}));
    let with_secret = async |secret: &'static str| {
        let [grant, client, _, scope] = entra_fields();
        let (status, body) = read(bench.entra_call(&[grant, client, ("client_secret", secret), scope])).await;
        (status, body["error_codes"][0].as_u64())
    };
    for secret in [test::ENTRA_CLIENT_SECRET, "test-second"] {
        assert_eq!(with_secret(secret).await, (200, None));
    }
    bench.edit(json!({"edit": "removeClientSecret", "value": test::ENTRA_CLIENT_SECRET}));
    assert_eq!(with_secret(test::ENTRA_CLIENT_SECRET).await, (401, Some(7_000_215)));
    bench.sim.advance_to(bench.sim.now() + SignedDuration::from_hours(2)).await;
    assert_eq!(with_secret("test-second").await, (401, Some(7_000_222)));
    bench.edit(json!({"edit": "setApplicationEnabled", "enabled": false}));
    assert_eq!(with_secret("test-second").await, (400, Some(7_000_112)));
}

/// Section 2.4: each row can be had, with the word that a client branches on.
#[tokio::test]
async fn every_row_of_the_table_can_be_had() {
    let bench = Bench::demo().await;
    for number in super::super::graph::entra::NUMBERS {
        bench.edit(json!({"edit": "setTokenError", "number": number}));
        let (status, body) = read(bench.entra_call(&entra_fields())).await;
        let word = body["error"].as_str().unwrap();
        let expected = match word {
            "invalid_client" => 401,
            "temporarily_unavailable" if number == 90_055 => 429,
            "temporarily_unavailable" => 503,
            _ => 400,
        };
        assert_eq!((status, &body["error_codes"]), (expected, &json!([number])), "{body}");
        assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{number}: ")));
        let transient = matches!(number, 90_006 | 90_012 | 90_024 | 90_033 | 90_055 | 90_090);
        assert_eq!(word == "temporarily_unavailable", transient, "{number}");
    }
    bench.edit(json!({"edit": "setTokenError", "number": null}));
    bench.graph_token().await;
}

#[tokio::test]
async fn the_tenant_has_a_domain_for_a_name_and_tokens_last_as_long_as_is_said() {
    let bench = Bench::demo().await;
    bench.edit(json!({"edit": "changeSettings", "settings": {"graphTokenSeconds": 600}}));
    let by_name = bench.url(Api::Entra, &format!("/{}/oauth2/v2.0/token", test::EMAIL_DOMAIN));
    let (status, body) = read(bench.http.post(by_name).form(&entra_fields())).await;
    assert_eq!((status, body["expires_in"].as_u64()), (200, Some(600)));
    let token = body["access_token"].as_str().unwrap();
    bench.ok(Api::Graph, "/v1.0/organization", token).await;
    bench.advance("10m").await;
    assert_eq!(bench.json(Api::Graph, "/v1.0/organization", token).await.0, 401);
    let unknown = bench.url(Api::Entra, "/nobody.example/oauth2/v2.0/token");
    assert_eq!(read(bench.http.post(unknown).form(&entra_fields())).await.1["error_codes"], json!([90_002]));
}
