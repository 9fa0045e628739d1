//! The DynamoDB that other programs are pointed at, and the switch between the engines that tests run on.

use ulid::Ulid;

/// Names the environment variable with the URL of a DynamoDB Local to test on. Without it, tests use embedded stores.
pub const SWITCH: &str = "ZAE_TEST_STORE";

/// A DynamoDB, and the credentials and region under which it keeps this test's tables.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub url: String,
    pub access_key: String,
    pub region: String,
}

impl Endpoint {
    /// The settings as the environment variables that every AWS SDK reads.
    pub fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.url),
            ("AWS_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", &self.access_key),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }
}

/// An empty database on the DynamoDB Local that [`SWITCH`] names, or `None` where tests use embedded stores.
///
/// DynamoDB Local keeps a database per access key and region, so a new key is a new database.
pub fn local() -> Option<Endpoint> {
    let url = std::env::var(SWITCH).ok().filter(|url| !url.is_empty())?;
    assert!(url.starts_with("http://"), "{SWITCH} is the URL of a DynamoDB Local, not {url}");
    Some(Endpoint { url, access_key: Ulid::new().to_string(), region: "us-east-1".to_owned() })
}
