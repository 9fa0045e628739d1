//! Lambda packages to deploy with a stack: [`Packages`].
//!
//! CloudFormation takes the code of a function from S3. A package is stored there under the hash of its content, in a
//! bucket of the account and region that all stacks share: the same code is uploaded once, a stack that returns to an
//! older version finds it, and CloudFormation detects a change of code by a change of its key.
//!
//! ```
//! use zae_deploy::artifact::{Architecture, Package, Packages};
//!
//! let package = Package::new(b"PK".to_vec());
//! assert_eq!(package.sha256().len(), 64); // its name in the bucket
//! let packages = Packages::new(Architecture::Arm64, package.clone(), package);
//! assert!(!packages.is_none());
//! ```

mod load;
mod upload;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::package::{Binary, Function};

pub use load::{find_one, load_one};
pub(crate) use upload::upload;

/// The instruction set that a package is built for.
///
/// See the [module](crate::artifact) for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// 64-bit x86.
    #[default]
    X86_64,
    /// 64-bit Arm: cheaper on Lambda.
    Arm64,
}

impl Architecture {
    /// Returns Lambda's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The zip file of one Lambda function, identified by the hash of its content. Cheap to clone.
///
/// See the [module](crate::artifact) for an example.
#[derive(Clone, PartialEq, Eq)]
pub struct Package {
    bytes: Arc<[u8]>,
    sha256: String,
}

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Package").field("bytes", &self.bytes.len()).field("sha256", &self.sha256).finish()
    }
}

impl Package {
    /// Creates a package with that content.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, sha256 }
    }

    /// Returns its content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the SHA-256 of its content, in lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Returns the SHA-256 in base64, as S3 and Lambda write it.
    pub fn sha256_base64(&self) -> String {
        STANDARD.encode(Sha256::digest(&self.bytes))
    }
}

/// The packages of a stack's functions, or none.
///
/// See the [module](crate::artifact) for an example.
#[derive(Clone, Debug, Default)]
pub struct Packages(Option<Both>);

#[derive(Clone, Debug)]
struct Both {
    architecture: Architecture,
    aggregator: Code,
    provisioner: Code,
}

/// The code of one function.
#[derive(Clone, Debug)]
enum Code {
    Packed(Package),
    /// Packed on demand, and then kept for all clones.
    Binary(Binary, Arc<OnceLock<Package>>),
}

impl From<Binary> for Code {
    fn from(binary: Binary) -> Self {
        Self::Binary(binary, Arc::default())
    }
}

impl Packages {
    /// Creates the packages of both functions, built for `architecture`.
    pub fn new(architecture: Architecture, aggregator: Package, provisioner: Package) -> Self {
        let (aggregator, provisioner) = (Code::Packed(aggregator), Code::Packed(provisioner));
        Self(Some(Both { architecture, aggregator, provisioner }))
    }

    /// Creates them from the binaries of both functions, which are packed on demand.
    fn of(architecture: Architecture, aggregator: Binary, provisioner: Binary) -> Self {
        let (aggregator, provisioner) = (Code::from(aggregator), Code::from(provisioner));
        Self(Some(Both { architecture, aggregator, provisioner }))
    }

    /// Creates an empty set: a new stack gets placeholders, an existing one keeps its code.
    pub fn none() -> Self {
        Self(None)
    }

    /// Returns true if there are none.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the SHA-256 of a function's package in base64, if there is one.
    pub(crate) fn sha256_base64(&self, function: Function) -> Option<String> {
        let both = self.0.as_ref()?;
        let code = match function {
            Function::Aggregator => &both.aggregator,
            Function::Provisioner => &both.provisioner,
        };
        match code {
            Code::Packed(package) => Some(package.sha256_base64()),
            Code::Binary(binary, packed) => {
                let package = packed.get().cloned().or_else(|| binary.pack().ok());
                package.map(|package| package.sha256_base64())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_its_content() {
        let package = Package::new(b"abc".as_slice());
        assert_eq!(package.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(package, Package::new(b"abc".as_slice()));
    }
}
