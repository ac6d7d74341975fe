//! TLS: rustls with graviola, the system's certificates; or the reason why there is none.

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// Connections that can be secured. Where they must be (`https`) and cannot, the reason is the error.
pub(crate) fn secured(
    config: ConfigBuilder<AgentScope>,
    https: bool,
) -> Result<ConfigBuilder<AgentScope>, &'static str> {
    #[cfg(all(feature = "https", any(target_arch = "x86_64", target_arch = "aarch64")))]
    return match with::config() {
        Ok(tls) => Ok(config.tls_config(tls)),
        // Plain connections need none.
        Err(_) if !https => Ok(config),
        Err(reason) => Err(reason),
    };
    #[cfg(not(all(feature = "https", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    if https { Err("this build has no https (feature `https`, on x86-64 and Arm with 64 bits)") } else { Ok(config) }
}

#[cfg(all(feature = "https", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod with {
    use std::sync::Arc;
    use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

    /// Instructions that graviola is made of.
    #[cfg(target_arch = "x86_64")]
    fn processor_suffices() -> bool {
        use std::arch::is_x86_feature_detected as has;
        has!("aes") && has!("pclmulqdq") && has!("ssse3") && has!("avx2") && has!("bmi1") && has!("bmi2") && has!("adx")
    }
    #[cfg(target_arch = "aarch64")]
    fn processor_suffices() -> bool {
        use std::arch::is_aarch64_feature_detected as has;
        has!("aes") && has!("pmull") && has!("sha2") && has!("neon")
    }

    pub(crate) fn config() -> Result<TlsConfig, &'static str> {
        if !processor_suffices() {
            return Err("this processor lacks instructions that our TLS is made of (AES, AVX2, BMI2, ADX)");
        }
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err("the system has no certificates of authorities (ca-certificates; SSL_CERT_FILE names others)");
        }
        let certs: Vec<Certificate<'static>> =
            found.certs.iter().map(|c| Certificate::from_der(c.as_ref()).to_owned()).collect();
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(certs)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
            .build())
    }
}
