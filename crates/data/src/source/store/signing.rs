//! TLS and signatures of requests in pure Rust, by graviola.

use graviola::hashing::hmac::Hmac;
use graviola::hashing::{HashContext, HashOutput, Sha256};
use graviola::signing::rsa::SigningKey;
use object_store::client::{CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm};
use object_store::{Error, Result};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the feature object-store needs x86-64 or Arm with 64 bits, for which its TLS is written");

/// Makes graviola what rustls computes with, unless the program has chosen something else; or says why it cannot be.
pub(super) fn install() -> std::result::Result<(), &'static str> {
    if !graviola::util::is_cpu_supported() {
        return Err("this processor lacks instructions that our TLS is made of (AES, AVX2, BMI2, ADX)");
    }
    // An error says that there is a provider already.
    let _ = rustls_graviola::default_provider().install_default();
    Ok(())
}

fn unsupported(what: impl std::fmt::Debug) -> Error {
    Error::NotSupported { source: format!("{what:?}").into() }
}

fn failed(what: impl std::fmt::Debug) -> Error {
    Error::Generic { store: "signature", source: format!("{what:?}").into() }
}

/// What requests to S3, Google and Azure are signed with.
#[derive(Debug)]
pub(super) struct Graviola;

impl CryptoProvider for Graviola {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        use graviola::hashing::Hash;
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Running { context: Some(Sha256::new()), output: None })),
            other => Err(unsupported(other)),
        }
    }
    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => {
                Ok(Box::new(Running { context: Some(Hmac::<Sha256>::new(secret)), output: None }))
            }
            other => Err(unsupported(other)),
        }
    }
    fn sign(&self, algorithm: SigningAlgorithm, pem: &[u8]) -> Result<Box<dyn Signer>> {
        if algorithm != SigningAlgorithm::RS256 {
            return Err(unsupported(algorithm));
        }
        let key = match PrivateKeyDer::from_pem_slice(pem).map_err(failed)? {
            PrivateKeyDer::Pkcs1(der) => SigningKey::from_pkcs1_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => SigningKey::from_pkcs8_der(der.secret_pkcs8_der()),
            _ => return Err(failed("a private key that is not of RSA")),
        };
        Ok(Box::new(Rsa(key.map_err(failed)?)))
    }
}

/// A digest or a signature under way, then done.
struct Running<C> {
    context: Option<C>,
    output: Option<HashOutput>,
}

impl<C> Running<C> {
    fn finish(&mut self, end: impl FnOnce(C) -> HashOutput) -> Result<&[u8]> {
        if let Some(context) = self.context.take() {
            self.output = Some(end(context));
        }
        self.output.as_ref().map(AsRef::as_ref).ok_or_else(|| failed("nothing to finish"))
    }
}

impl<C: HashContext + Send> DigestContext for Running<C> {
    fn update(&mut self, data: &[u8]) {
        if let Some(c) = &mut self.context {
            c.update(data);
        }
    }
    fn finish(&mut self) -> Result<&[u8]> {
        Running::finish(self, C::finish)
    }
}

impl HmacContext for Running<Hmac<Sha256>> {
    fn update(&mut self, data: &[u8]) {
        if let Some(c) = &mut self.context {
            c.update(data);
        }
    }
    fn finish(&mut self) -> Result<&[u8]> {
        Running::finish(self, Hmac::finish)
    }
}

struct Rsa(SigningKey);

impl Signer for Rsa {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; self.0.modulus_len_bytes()];
        self.0.sign_pkcs1_sha256(&mut out, message).map_err(failed)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// FIPS 180-2, example B.1, and RFC 4231, test case 2.
    #[test]
    fn published_examples() {
        let mut d = Graviola.digest(DigestAlgorithm::Sha256).unwrap();
        d.update(b"a");
        d.update(b"bc");
        assert_eq!(hex(d.finish().unwrap()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut h = Graviola.hmac(DigestAlgorithm::Sha256, b"Jefe").unwrap();
        h.update(b"what do ya want for nothing?");
        assert_eq!(hex(h.finish().unwrap()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn rsa_signatures_are_those_of_their_key() {
        use graviola::signing::rsa::KeySize;
        let key = SigningKey::generate(KeySize::Rsa2048).unwrap();
        let mut der = vec![0; 4096];
        let der = key.to_pkcs8_der(&mut der).unwrap();
        let pem = pem(der);
        let signature = Graviola.sign(SigningAlgorithm::RS256, pem.as_bytes()).unwrap().sign(b"message").unwrap();
        key.public_key().verify_pkcs1_sha256(&signature, b"message").unwrap();
        assert!(Graviola.sign(SigningAlgorithm::RS256, b"no key").is_err());
    }

    fn pem(der: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
        for three in der.chunks(3) {
            let bits = three.iter().fold(0u32, |v, &b| v << 8 | u32::from(b)) << (8 * (3 - three.len()));
            for i in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * i)) as usize % 64] as char;
                text.push(if i <= three.len() { digit } else { '=' });
            }
        }
        text + "\n-----END PRIVATE KEY-----\n"
    }
}
