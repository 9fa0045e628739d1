//! Fakes of all services that a command may call, at one address of this machine.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

/// A request as received.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Method and target, as in the first line.
    pub(super) line: String,
    /// The access key that signed it.
    pub(super) key: String,
    /// True if it was for DynamoDB.
    pub(super) is_dynamodb: bool,
}

/// Answers as a DynamoDB without tables, as STS, as IAM Identity Center, and with the credentials of a container or a
/// machine; as a proxy, it answers itself, and refuses tunnels.
pub(super) struct World {
    pub(super) address: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl World {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let noted = calls.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = noted.clone();
                thread::spawn(move || answer(&stream, &noted));
            }
        });
        Self { address, calls }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn answer(stream: &TcpStream, noted: &Mutex<Vec<Call>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let of = |line: &String| {
            line.split_once(':')
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
        };
        head.iter().find_map(of).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body);
    let signed = header("authorization");
    let key = signed.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
    let line = head[0].trim_end_matches(" HTTP/1.1").to_owned();
    let is_dynamodb = header("x-amz-target").starts_with("DynamoDB");
    noted.lock().unwrap().push(Call { line: line.clone(), key: key.to_owned(), is_dynamodb });
    let (status, body) = said(&line, &body, is_dynamodb);
    let more = "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\nconnection: close";
    let length = body.len();
    write!({ stream }, "HTTP/1.1 {status}\r\n{more}\r\ncontent-length: {length}\r\n\r\n{body}").ok()
}

fn said(line: &str, body: &str, is_dynamodb: bool) -> (&'static str, String) {
    const OK: &str = "200 OK";
    let expires = "2100-01-01T00:00:00Z";
    if is_dynamodb {
        let missing =
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"not found"}"#;
        return ("400 Bad Request", missing.to_owned());
    }
    let keys = |id: &str| {
        format!(
            r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"s","Token":"t","Expiration":"{expires}"}}"#
        )
    };
    let role = |action: &str, id: &str| {
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>{expires}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>A:B</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/limits/a</Arn></AssumedRoleUser></{action}Result></{action}Response>"
        )
    };
    match line {
        _ if line.starts_with("CONNECT ") => ("403 Forbidden", String::new()),
        _ if body.contains("Action=AssumeRoleWithWebIdentity") => {
            (OK, role("AssumeRoleWithWebIdentity", "WEBIDENTITY"))
        }
        _ if body.contains("Action=AssumeRole") => (OK, role("AssumeRole", "ASSUMED")),
        _ if line.starts_with("GET /federation/credentials") => (
            OK,
            r#"{"roleCredentials":{"accessKeyId":"IDENTITYCENTER","secretAccessKey":"s","sessionToken":"t","expiration":4102444800000}}"#
                .to_owned(),
        ),
        "GET /container" => (OK, keys("CONTAINER")),
        "PUT /latest/api/token" => (OK, "token".to_owned()),
        "GET /latest/meta-data/placement/region" => (OK, "eu-north-1".to_owned()),
        _ if line.starts_with("GET /latest/meta-data/iam/security-credentials") && line.ends_with('/') => {
            (OK, "limits".to_owned())
        }
        _ if line.starts_with("GET /latest/meta-data/iam/security-credentials") => (OK, keys("MACHINE")),
        _ => ("404 Not Found", String::new()),
    }
}

/// Writes the configuration files into a home directory.
pub(super) fn furnish(home: &Path, world: &str) {
    let aws = home.join(".aws");
    let cache = aws.join("sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let fill =
        |text: &str| text.replace("{home}", home.to_str().unwrap()).replace("{world}", &format!("http://{world}"));
    std::fs::write(aws.join("config"), fill(CONFIG)).unwrap();
    std::fs::write(home.join("broken"), "[default]\nthis is no setting\n").unwrap();
    std::fs::write(home.join("token"), "a.web.token").unwrap();
    std::fs::write(
        home.join("process.json"),
        r#"{"Version":1,"AccessKeyId":"PROCESS","SecretAccessKey":"s","SessionToken":"t"}"#,
    )
    .unwrap();
    // Named by the SHA-1 of the session's name, and of the start URL where there is no session.
    for name in ["ee0bfd2552fbd840c02cc48b6e823320543c450f", "79e435d7a515078e81c9dffc35f38d5687ebd3a7"] {
        let token = r#"{"accessToken":"t","expiresAt":"2100-01-01T00:00:00Z"}"#;
        std::fs::write(cache.join(format!("{name}.json")), token).unwrap();
    }
}

const CONFIG: &str = "\
[profile keys]
aws_access_key_id = PROFILE
aws_secret_access_key = secret-of-profile
[profile half]
aws_access_key_id = PROFILE
[profile process]
credential_process = cat {home}/process.json
[profile failing]
credential_process = false
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = limits
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.awsapps.com/start
sso_registration_scopes = sso:account:access
[profile legacy]
sso_start_url = https://legacy.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = limits
[profile ended]
sso_session = ended
sso_account_id = 123456789012
sso_role_name = limits
[sso-session ended]
sso_region = us-east-1
sso_start_url = https://ended.awsapps.com/start
[profile lost]
sso_session = nowhere
sso_account_id = 123456789012
sso_role_name = limits
[profile console]
login_session = arn:aws:iam::123456789012:user/ada
[profile role]
role_arn = arn:aws:iam::123456789012:role/limits
source_profile = keys
[profile ended-role]
role_arn = arn:aws:iam::123456789012:role/limits
source_profile = ended
[profile circle]
role_arn = arn:aws:iam::123456789012:role/limits
source_profile = round
[profile round]
role_arn = arn:aws:iam::123456789012:role/limits
source_profile = circle
[profile web]
role_arn = arn:aws:iam::123456789012:role/limits
web_identity_token_file = {home}/token
[profile container]
role_arn = arn:aws:iam::123456789012:role/limits
credential_source = EcsContainer
[profile blank]
region =
endpoint_url =
aws_access_key_id = PROFILE
aws_secret_access_key = secret-of-profile
[profile abroad]
region = ap-southeast-2
aws_access_key_id = PROFILE
aws_secret_access_key = secret-of-profile
[profile nowhere]
region = no where
aws_access_key_id = PROFILE
aws_secret_access_key = secret-of-profile
[profile local]
endpoint_url = {world}
[profile services]
services = local
[services local]
dynamodb =
  endpoint_url = {world}
[profile bare]
endpoint_url = localhost:5620
";
