//! The host's tokens: `sub` is the user, `device` a UUID, `exp` the end, `name` perhaps a display name.

use std::path::{Path, PathBuf};

use chat_core::ports::Identity;
use chat_core::proto::{DeviceId, Timestamp, UserId};
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use super::SYSTEM_USER;
use crate::settings::JwtSettings;

/// Characters of a display name; a longer one is left out.
const NAME_CHARS_MAX: usize = 100;
/// Keys in a JWK set: each may be tried for each token that names none.
const KEYS_MAX: usize = 32;

/// Why the host's keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// The file cannot be read.
    #[error(
        "auth.jwt.jwks_file: {path} cannot be read ({source}); name a file that the server may read"
    )]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no JWK set, or one that is of no use.
    #[error("auth.jwt.jwks_file: {path} {problem}")]
    Keys {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
}

/// Checks the host's tokens. The algorithm is the key's, never the token's to choose.
pub struct JwtVerifier {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: UserId,
    device: DeviceId,
    exp: f64,
    #[serde(default)]
    name: Option<String>,
}

impl JwtVerifier {
    /// The verifier of these settings; `None` where they have no key.
    ///
    /// # Errors
    /// When the file of public keys cannot be used.
    pub fn load(settings: &JwtSettings) -> Result<Option<Self>, JwtError> {
        let mut keys = Vec::new();
        if let Some(secret) = &settings.hs256_secret {
            let key = DecodingKey::from_secret(secret.as_bytes());
            keys.push(Key::new(None, Algorithm::HS256, key, settings));
        }
        if let Some(path) = &settings.jwks_file {
            keys.extend(read_keys(path, settings)?);
        }
        Ok(if keys.is_empty() {
            None
        } else {
            Some(Self { keys })
        })
    }

    /// Whom the token stands for, if one of the keys signed it and it has not ended.
    pub fn verify(&self, token: &str) -> Option<Identity> {
        let header = decode_header(token).ok()?;
        let named = |key: &&Key| {
            let id_fits = match (&header.kid, &key.id) {
                (Some(named), Some(id)) => named == id,
                (None, _) | (_, None) => true,
            };
            key.algorithm == header.alg && id_fits
        };
        let claims = self.keys.iter().filter(named).find_map(|key| {
            decode::<Claims>(token, &key.key, &key.validation)
                .ok()
                .map(|token| token.claims)
        })?;
        if claims.sub.as_str() == SYSTEM_USER {
            return None;
        }
        let name = claims
            .name
            .filter(|name| !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX);
        // Saturates: a token for ever ends in 584 million years.
        let expires_at = Timestamp((claims.exp * 1_000.0) as u64);
        Some(
            Identity::new(claims.sub, claims.device)
                .named(name)
                .expiring(Some(expires_at)),
        )
    }
}

impl Key {
    fn new(
        id: Option<String>,
        algorithm: Algorithm,
        key: DecodingKey,
        settings: &JwtSettings,
    ) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.leeway = settings.leeway_s;
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        match &settings.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        Self {
            id,
            algorithm,
            key,
            validation,
        }
    }
}

fn read_keys(path: &Path, settings: &JwtSettings) -> Result<Vec<Key>, JwtError> {
    let unusable = |problem: String| JwtError::Keys {
        path: path.to_owned(),
        problem,
    };
    let bytes = std::fs::read(path).map_err(|source| JwtError::Read {
        path: path.to_owned(),
        source,
    })?;
    let set: JwkSet = serde_json::from_slice(&bytes).map_err(|error| {
        unusable(format!(
            "is no JWK set ({error}); it is an object with a list `keys`"
        ))
    })?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            continue;
        }
        let Some(algorithm) = algorithm_of(jwk) else {
            continue;
        };
        let key = DecodingKey::from_jwk(jwk).map_err(|error| {
            unusable(format!(
                "has a key that makes no sense ({error}); export it again"
            ))
        })?;
        keys.push(Key::new(
            jwk.common.key_id.clone(),
            algorithm,
            key,
            settings,
        ));
    }
    if keys.is_empty() {
        return Err(unusable(
            "has no public key for RS256, ES256 or EdDSA; add the one that signs the tokens"
                .to_owned(),
        ));
    }
    if keys.len() > KEYS_MAX {
        return Err(unusable(format!(
            "has more than {KEYS_MAX} keys; remove those that sign no longer"
        )));
    }
    Ok(keys)
}

/// The one algorithm that the key is for, if it is one that the server accepts. Symmetric keys are not: a set is public.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let (algorithm, declared_as) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    jwk.common
        .key_algorithm
        .is_none_or(|declared| declared == declared_as)
        .then_some(algorithm)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
