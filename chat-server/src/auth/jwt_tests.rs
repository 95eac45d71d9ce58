use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::CommonParameters;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::settings::Secret;

const SECRET: &str = "a secret of more than thirty-two bytes";
const DEVICE: &str = "5f0a2a0e-0000-4000-8000-000000000001";
/// PKCS#8 of the Ed25519 key whose seed is 32 zero bytes.
const ED25519_PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

fn claims() -> Value {
    json!({"sub": "alice", "device": DEVICE, "exp": now_s() + 60, "name": "Alice", "aud": "elsewhere"})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn hs256(claims: &Value) -> String {
    encode(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .expect("a token")
}

fn settings() -> JwtSettings {
    JwtSettings {
        hs256_secret: Some(Secret::new(SECRET)),
        ..JwtSettings::default()
    }
}

fn verifier(settings: &JwtSettings) -> JwtVerifier {
    JwtVerifier::load(settings)
        .expect("good settings")
        .expect("a key")
}

#[test]
fn a_token_of_the_host_is_a_user_on_a_device_until_it_ends() {
    let identity = verifier(&settings())
        .verify(&hs256(&claims()))
        .expect("a good token");
    assert_eq!(
        (identity.user.as_str(), identity.device.to_string().as_str()),
        ("alice", DEVICE)
    );
    assert_eq!(identity.name.as_deref(), Some("Alice"));
    let ends_in_ms = identity.expires_at.expect("an end").0 - now_s() * 1_000;
    assert!((50_000..=60_000).contains(&ends_in_ms), "{ends_in_ms}");
}

#[test]
fn bad_tokens_are_nobody() {
    let verifier = verifier(&settings());
    let good = hs256(&claims());
    let (body, signature) = good.rsplit_once('.').expect("three parts");
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes.");
    for (what, token) in [
        ("ended", hs256(&with("exp", json!(now_s() - 1)))),
        ("not yet", hs256(&with("nbf", json!(now_s() + 60)))),
        ("no end", hs256(&with("exp", Value::Null))),
        ("no user", hs256(&with("sub", Value::Null))),
        ("no device", hs256(&with("device", Value::Null))),
        (
            "a device that is no UUID",
            hs256(&with("device", json!("phone"))),
        ),
        ("a user that is none", hs256(&with("sub", json!("a b")))),
        ("the server itself", hs256(&with("sub", json!(SYSTEM_USER)))),
        (
            "another secret",
            encode(&Header::default(), &claims(), &other).expect("a token"),
        ),
        ("another algorithm", {
            let header = Header::new(Algorithm::HS512);
            encode(
                &header,
                &claims(),
                &EncodingKey::from_secret(SECRET.as_bytes()),
            )
            .expect("a token")
        }),
        (
            "no algorithm",
            format!("{}.{}.", part(json!({"alg": "none"})), part(claims())),
        ),
        ("no signature", format!("{body}.")),
        (
            "other claims",
            format!(
                "{}.{}.{signature}",
                part(json!({"alg": "HS256"})),
                part(with("sub", json!("bob")))
            ),
        ),
        ("nothing", "..".to_owned()),
    ] {
        assert!(verifier.verify(&token).is_none(), "{what}");
    }
}

#[test]
fn issuer_and_audience_bind_where_they_are_set() {
    let settings = JwtSettings {
        issuer: Some("host".to_owned()),
        audience: Some("chat".to_owned()),
        ..settings()
    };
    let verifier = verifier(&settings);
    let token = |issuer: Value, audience: Value| {
        let mut claims = with("iss", issuer);
        claims["aud"] = audience;
        hs256(&claims)
    };
    assert!(
        verifier
            .verify(&token(json!("host"), json!(["web", "chat"])))
            .is_some()
    );
    assert!(
        verifier
            .verify(&token(json!("host"), json!("web")))
            .is_none()
    );
    assert!(
        verifier
            .verify(&token(json!("guest"), json!("chat")))
            .is_none()
    );
    assert!(
        verifier
            .verify(&token(Value::Null, json!("chat")))
            .is_none()
    );
    assert!(
        verifier
            .verify(&token(json!("host"), Value::Null))
            .is_none()
    );
}

#[test]
fn a_public_key_verifies_its_own_algorithm_only() {
    let pkcs8 = [ED25519_PKCS8_PREFIX.as_slice(), &[0; 32]].concat();
    let signer = EncodingKey::from_ed_der(&pkcs8);
    let mut jwk = Jwk::from_encoding_key(&signer, Algorithm::EdDSA).expect("a public key");
    jwk.common = CommonParameters {
        key_id: Some("one".to_owned()),
        ..CommonParameters::default()
    };
    let symmetric = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "alg": "HS256"});
    let set = json!({"keys": [jwk, symmetric]});
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(file, "{set}").expect("written");
    let settings = JwtSettings {
        jwks_file: Some(file.path().to_owned()),
        ..JwtSettings::default()
    };
    let verifier = verifier(&settings);
    let sign = |kid: Option<&str>| {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = kid.map(str::to_owned);
        encode(&header, &claims(), &signer).expect("a token")
    };
    assert!(verifier.verify(&sign(None)).is_some());
    assert!(verifier.verify(&sign(Some("one"))).is_some());
    assert!(verifier.verify(&sign(Some("two"))).is_none());
    assert!(
        verifier.verify(&hs256(&claims())).is_none(),
        "a set is public, so a secret in it is none"
    );
}

#[test]
fn files_that_cannot_be_used_are_refused() {
    let load = |content: &str| {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(content.as_bytes()).expect("written");
        let settings = JwtSettings {
            jwks_file: Some(file.path().to_owned()),
            ..JwtSettings::default()
        };
        JwtVerifier::load(&settings)
            .err()
            .map(|error| error.to_string())
    };
    for content in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
    ] {
        let error = load(content).expect(content);
        assert!(error.starts_with("auth.jwt.jwks_file: "), "{error}");
    }
    let settings = JwtSettings {
        jwks_file: Some("/nowhere/keys.json".into()),
        ..JwtSettings::default()
    };
    assert!(matches!(
        JwtVerifier::load(&settings),
        Err(JwtError::Read { .. })
    ));
}
