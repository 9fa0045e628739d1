//! Inspects a program: its machine, and the C library that it needs.
//!
//! Layout: System V ABI, "ELF-64 Object File Format"; version requirements: Linux Standard Base, "Symbol Versioning".

use std::fmt;

use super::PackageError;
use crate::artifact::Architecture;

/// The C library of Lambda's `provided.al2023`.
pub const GLIBC_ON_LAMBDA: GlibcVersion = GlibcVersion { major: 2, minor: 34 };

const MAGIC: &[u8] = b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const X86_64: u16 = 62;
const AARCH64: u16 = 183;
/// A section that lists the required symbol versions of other libraries.
const VERSION_NEEDS: u32 = 0x6fff_fffe;

/// A version of the GNU C library.
///
/// See the [module](crate::package) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion {
    major: u16,
    minor: u16,
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl GlibcVersion {
    /// Parses `GLIBC_2.34`; other version names are not glibc's.
    fn of(name: &str) -> Option<Self> {
        let mut numbers = name.strip_prefix("GLIBC_")?.split('.');
        let mut number = || numbers.next()?.parse().ok();
        Some(Self { major: number()?, minor: number()? })
    }
}

/// Reads numbers at offsets that may be out of bounds.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn at<const N: usize>(&self, place: u64) -> Option<[u8; N]> {
        let place = usize::try_from(place).ok()?;
        self.0.get(place..place.checked_add(N)?)?.try_into().ok()
    }
    fn u16(&self, place: u64) -> Option<u16> {
        self.at(place).map(u16::from_le_bytes)
    }
    fn u32(&self, place: u64) -> Option<u32> {
        self.at(place).map(u32::from_le_bytes)
    }
    fn u64(&self, place: u64) -> Option<u64> {
        self.at(place).map(u64::from_le_bytes)
    }
    fn text(&self, place: u64) -> Option<&str> {
        let rest = self.0.get(usize::try_from(place).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }
}

/// Checks that the program starts on Lambda's machine of this kind.
pub(super) fn check(program: &[u8], architecture: Architecture) -> Result<(), PackageError> {
    let bytes = Bytes(program);
    if !program.starts_with(MAGIC) {
        return Err(PackageError::NoProgram("it is not an ELF file"));
    }
    if program.get(4..6) != Some(&[CLASS_64, LITTLE_ENDIAN]) {
        return Err(PackageError::NoProgram("it is not 64-bit, little-endian"));
    }
    let machine = bytes.u16(18).ok_or(PackageError::NoProgram("its header ends too early"))?;
    let found = match machine {
        X86_64 => "x86_64".to_owned(),
        AARCH64 => "arm64".to_owned(),
        other => format!("machine {other}"),
    };
    let wanted = architecture.as_str();
    if found != wanted {
        return Err(PackageError::OtherMachine { found, wanted });
    }
    match newest_glibc(&bytes).ok_or(PackageError::NoProgram("its sections lead out of it"))? {
        Some(needed) if needed > GLIBC_ON_LAMBDA => Err(PackageError::Glibc { needed }),
        _ => Ok(()),
    }
}

/// Returns the newest version of glibc that the program requires; `Some(None)` if it requires none, `None` if it is
/// damaged.
fn newest_glibc(bytes: &Bytes<'_>) -> Option<Option<GlibcVersion>> {
    let (table, size, count) = (bytes.u64(40)?, u64::from(bytes.u16(58)?), u64::from(bytes.u16(60)?));
    let section = |index: u64| table.checked_add(size.checked_mul(index)?);
    let mut newest = None;
    for index in 0..count {
        let header = section(index)?;
        if bytes.u32(header.saturating_add(4))? != VERSION_NEEDS {
            continue;
        }
        let (mut need, texts) =
            (bytes.u64(header.saturating_add(24))?, section(u64::from(bytes.u32(header.saturating_add(40))?))?);
        let (texts, needs) = (bytes.u64(texts.saturating_add(24))?, bytes.u32(header.saturating_add(44))?);
        for _ in 0..needs {
            let mut version = need.checked_add(u64::from(bytes.u32(need.saturating_add(8))?))?;
            for _ in 0..bytes.u16(need.saturating_add(2))? {
                let name = bytes.text(texts.checked_add(u64::from(bytes.u32(version.saturating_add(8))?))?)?;
                newest = newest.max(GlibcVersion::of(name));
                version = version.checked_add(u64::from(bytes.u32(version.saturating_add(12))?))?;
            }
            need = need.checked_add(u64::from(bytes.u32(need.saturating_add(12))?))?;
        }
    }
    Some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let of = |name| GlibcVersion::of(name).unwrap();
        assert!(of("GLIBC_2.9") < of("GLIBC_2.34") && of("GLIBC_2.2.5") < of("GLIBC_2.17"));
        assert_eq!(of("GLIBC_2.34"), GLIBC_ON_LAMBDA);
        assert_eq!((GlibcVersion::of("GCC_3.0"), GlibcVersion::of("GLIBC_PRIVATE")), (None, None));
    }

    #[test]
    fn damaged_programs_are_refused_and_never_read_beyond() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let here = if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 };
        let other = if cfg!(target_arch = "aarch64") { Architecture::X86_64 } else { Architecture::Arm64 };
        assert!(matches!(check(&own, other), Err(PackageError::OtherMachine { .. })));
        for length in [0, 3, 5, 19, 41, 60, 63, 64, 1_000] {
            assert!(check(&own[..length], here).is_err(), "{length}");
        }
        let mut far = own;
        far[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(check(&far, here), Err(PackageError::NoProgram(_))));
    }
}
