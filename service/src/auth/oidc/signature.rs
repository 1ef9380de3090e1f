//! Signatures by ring, which rustls uses as well: `jsonwebtoken` leaves the choice open, and its own
//! two need either a C build of their own or the crate `rsa` with its open timing attack
//! (RUSTSEC-2023-0071).

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(Ring::new(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring check the signatures of this process.
pub(super) fn install() {
    // Fails only when it was done before.
    let _ = RING.install_default();
}

struct Ring {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
        scheme: &'static RsaParameters,
    },
    Curve {
        point: Vec<u8>,
        scheme: &'static dyn VerificationAlgorithm,
    },
}

impl Ring {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        use Algorithm as A;
        let rsa = |scheme| match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => Ok(Key::Rsa {
                n: n.clone(),
                e: e.clone(),
                scheme,
            }),
            DecodingKeyKind::SecretOrDer(_) => Err(Error::from(ErrorKind::InvalidKeyFormat)),
        };
        let curve = |scheme, family| {
            if key.family() != family {
                return Err(Error::from(ErrorKind::InvalidKeyFormat));
            }
            let point = key.try_get_as_bytes()?.to_vec();
            Ok(Key::Curve { point, scheme })
        };
        let key = match algorithm {
            A::RS256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
            A::RS384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
            A::RS512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
            A::PS256 => rsa(&RSA_PSS_2048_8192_SHA256),
            A::PS384 => rsa(&RSA_PSS_2048_8192_SHA384),
            A::PS512 => rsa(&RSA_PSS_2048_8192_SHA512),
            A::ES256 => curve(&ECDSA_P256_SHA256_FIXED, AlgorithmFamily::Ec),
            A::ES384 => curve(&ECDSA_P384_SHA384_FIXED, AlgorithmFamily::Ec),
            A::EdDSA => curve(&ED25519, AlgorithmFamily::Ed),
            _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
        }?;
        Ok(Self { algorithm, key })
    }
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match &self.key {
            Key::Rsa { n, e, scheme } => {
                // Some providers pad the modulus, which ring refuses.
                let zeros = n.iter().take_while(|byte| **byte == 0).count();
                let n = &n[zeros..];
                RsaPublicKeyComponents { n, e }.verify(scheme, message, signature)
            }
            Key::Curve { point, scheme } => {
                UnparsedPublicKey::new(*scheme, point).verify(message, signature)
            }
        };
        checked.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
