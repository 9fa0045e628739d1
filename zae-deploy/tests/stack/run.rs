//! `zae-deploy` as a process.

use std::{
    path::Path,
    process::{Output, Stdio},
    sync::OnceLock,
};

/// The result of a run of the command line.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn from_output(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Returns the JSON on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn failed(self, code: i32, needles: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        for needle in needles {
            assert!(self.stderr.contains(needle), "no {needle:?} in: {}", self.stderr);
        }
        self
    }
}

/// Isolates a command from the machine's own AWS configuration, above all its credentials.
pub(crate) fn clean(command: &mut tokio::process::Command) -> &mut tokio::process::Command {
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "ZAEL_STACK", "ZAEL_NAMESPACE", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("ZAEL_LAMBDA_DIR", lambda_dir())
        .stdin(Stdio::null())
}

/// Returns a folder with two dummy programs for x86-64: packing only inspects the header, and a few incompressible
/// kilobytes distinguish their packages from placeholders. Real binaries would be packed at every deployment, and need
/// a C library that this machine may not have.
pub(crate) fn lambda_dir() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        for name in ["zae-aggregator", "zae-provisioner"] {
            let mut program = vec![0_u8; 64];
            program[..6].copy_from_slice(b"\x7fELF\x02\x01");
            program[18] = 62;
            program.extend(name.bytes());
            let mut state = 1_u64;
            program.extend((0..8_192).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            }));
            std::fs::write(folder.path().join(name), program).unwrap();
        }
        folder
    });
    folder.path()
}

/// Runs `zae-deploy` against the AWS at `endpoint`.
pub(crate) async fn zae_deploy(endpoint: &str, args: &[&str]) -> Ran {
    let mut command = tokio::process::Command::new(Path::new(env!("CARGO_BIN_EXE_zae-deploy")));
    clean(&mut command).args(args).args(["--endpoint-url", endpoint]);
    Ran::from_output(command.output().await.unwrap())
}
