//! One row per variable, file setting or option, and kind of value, with the expected outcome.

/// The environment that a command sees, and the outcome.
///
/// In all texts `{world}` is the address of the fake services, `{port}` its port, `{home}` the home directory, and
/// `{far}` the same services at an address that counts as another machine's.
pub(super) struct Row {
    pub(super) set: &'static [(&'static str, &'static str)],
    pub(super) args: &'static [&'static str],
    /// The first line of stderr.
    pub(super) says: &'static str,
    pub(super) calls: Calls,
}

/// The calls that reached the fake services.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// Nothing.
    None,
    /// DynamoDB directly, signed with this key.
    Direct(&'static str),
    /// DynamoDB's address, through a proxy.
    Proxied(&'static str),
}

use Calls::{Direct, None as Nothing, Proxied};

pub(super) const fn row(set: &'static [(&'static str, &'static str)], says: &'static str, calls: Calls) -> Row {
    Row { set, args: &["system", "get-defaults"], says, calls }
}

const fn option(
    args: &'static [&'static str],
    set: &'static [(&'static str, &'static str)],
    says: &'static str,
    calls: Calls,
) -> Row {
    Row { set, args, says, calls }
}

/// The command reached DynamoDB, which has no tables.
pub(super) const HERE: &str = "Error: Stack 'limiter' not found at http://{world}";
pub(super) const FAR: &str = "Error: Stack 'limiter' not found at http://{far}";
/// The proxy refuses the request.
const REFUSED: &str = "Error: Failed to connect to stack 'limiter' in eu-west-1: GetItem failed: \
    no connection; check region, endpoint and network";
const NO_REGION: &str = "Error: No AWS region is configured";
const TUNNEL: &str = "CONNECT dynamodb.eu-west-1.amazonaws.com:443";
pub(super) const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "VARIABLE");
pub(super) const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "secret-of-variable");
pub(super) const WORLD: (&str, &str) = ("AWS_ENDPOINT_URL", "http://{world}");
pub(super) const ELSEWHERE: (&str, &str) = ("AWS_ENDPOINT_URL", "http://{far}");
pub(super) const REGION: (&str, &str) = ("AWS_REGION", "eu-west-1");
const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://{world}");

pub(super) const ENDPOINTS: &[Row] = &[
    row(&[WORLD], HERE, Direct("local")),
    row(&[("AWS_ENDPOINT_URL", ""), KEY, SECRET, REGION, PROXY], REFUSED, Proxied(TUNNEL)),
    row(
        &[("AWS_ENDPOINT_URL", "localhost:5620")],
        "Error: the endpoint 'localhost:5620' (from AWS_ENDPOINT_URL) lacks a scheme: did you mean \
         http://localhost:5620?",
        Nothing,
    ),
    row(
        &[("AWS_ENDPOINT_URL", "not a url")],
        "Error: the endpoint 'not a url' (from AWS_ENDPOINT_URL) is not a URL such as http://localhost:4566",
        Nothing,
    ),
    row(
        &[("AWS_ENDPOINT_URL", "http://localhost:99999")],
        "Error: the endpoint 'http://localhost:99999' (from AWS_ENDPOINT_URL) has a port that is none: use 1 to 65535",
        Nothing,
    ),
    row(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://{world}")], HERE, Direct("local")),
    row(&[("AWS_ENDPOINT_URL_DYNAMODB", ""), WORLD], HERE, Direct("local")),
    row(
        &[("AWS_ENDPOINT_URL_DYNAMODB", "ftp://{world}"), WORLD],
        "Error: the endpoint 'ftp://{world}' (from AWS_ENDPOINT_URL_DYNAMODB) has the scheme ftp: use http or https",
        Nothing,
    ),
    row(&[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", ""), WORLD], HERE, Direct("local")),
    row(
        &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"), WORLD, KEY, SECRET, REGION, PROXY],
        REFUSED,
        Proxied(TUNNEL),
    ),
    row(&[("AWS_PROFILE", "local")], HERE, Direct("local")),
    row(&[("AWS_PROFILE", "services")], HERE, Direct("local")),
    row(&[("AWS_PROFILE", "blank"), REGION, PROXY], REFUSED, Proxied(TUNNEL)),
    row(
        &[("AWS_PROFILE", "bare")],
        "Error: the endpoint 'localhost:5620' (from profile 'bare') lacks a scheme: did you mean \
         http://localhost:5620?",
        Nothing,
    ),
    option(&["system", "get-defaults", "--endpoint-url", "http://{world}"], &[], HERE, Direct("local")),
    option(&["system", "get-defaults", "--endpoint-url", ""], &[WORLD], HERE, Direct("local")),
    option(
        &["system", "get-defaults", "--endpoint-url", "localhost:5620"],
        &[WORLD],
        "Error: the endpoint 'localhost:5620' lacks a scheme: did you mean http://localhost:5620?",
        Nothing,
    ),
];

pub(super) const REGIONS: &[Row] = &[
    row(&[REGION, KEY, SECRET, PROXY], REFUSED, Proxied(TUNNEL)),
    row(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-1"), KEY, SECRET, PROXY], REFUSED, Proxied(TUNNEL)),
    row(
        &[("AWS_REGION", "us east 1"), KEY, SECRET, PROXY],
        "Error: the region 'us east 1' (from AWS_REGION) is not a region's name, such as us-east-1",
        Nothing,
    ),
    row(&[("AWS_DEFAULT_REGION", ""), KEY, SECRET, PROXY], NO_REGION, Nothing),
    row(
        &[("AWS_DEFAULT_REGION", "eu/west"), KEY, SECRET, PROXY],
        "Error: the region 'eu/west' (from AWS_DEFAULT_REGION) is not a region's name, such as us-east-1",
        Nothing,
    ),
    row(
        &[("AWS_PROFILE", "abroad"), PROXY],
        "Error: Failed to connect to stack 'limiter' in ap-southeast-2: GetItem failed: no connection; \
         check region, endpoint and network",
        Proxied("CONNECT dynamodb.ap-southeast-2.amazonaws.com:443"),
    ),
    row(&[("AWS_PROFILE", "blank"), PROXY], NO_REGION, Nothing),
    row(
        &[("AWS_PROFILE", "nowhere"), PROXY],
        "Error: the region 'no where' (from the profile) is not a region's name, such as us-east-1",
        Nothing,
    ),
    row(
        &[
            KEY,
            SECRET,
            ELSEWHERE,
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://{world}"),
            ("AWS_EC2_METADATA_DISABLED", ""),
        ],
        FAR,
        Direct("VARIABLE"),
    ),
    option(
        &["system", "get-defaults", "--region", "eu-west-1"],
        &[("AWS_REGION", "us-east-1"), KEY, SECRET, PROXY],
        REFUSED,
        Proxied(TUNNEL),
    ),
    option(&["system", "get-defaults", "--region", ""], &[REGION, KEY, SECRET, PROXY], REFUSED, Proxied(TUNNEL)),
    option(
        &["system", "get-defaults", "--region", "Zürich"],
        &[REGION, KEY, SECRET, PROXY],
        "Error: the region 'Zürich' is not a region's name, such as us-east-1",
        Nothing,
    ),
];

pub(super) const PROXIES: &[Row] = &[
    row(&[("HTTPS_PROXY", "http://{world}"), KEY, SECRET, REGION], REFUSED, Proxied(TUNNEL)),
    row(
        &[("https_proxy", "{world}"), ("HTTPS_PROXY", "http://127.0.0.1:1"), KEY, SECRET, REGION],
        REFUSED,
        Proxied(TUNNEL),
    ),
    row(&[("https_proxy", ""), PROXY, KEY, SECRET, REGION], REFUSED, Proxied(TUNNEL)),
    row(
        &[("HTTPS_PROXY", "socks5://ada:secret-of-proxy@{world}"), KEY, SECRET, REGION],
        "Error: HTTPS_PROXY is not the URL of an HTTP proxy, such as http://proxy.example:3128",
        Nothing,
    ),
    row(&[("HTTP_PROXY", "http://{world}"), ELSEWHERE, KEY, SECRET, REGION], FAR, Proxied("POST http://{far}/")),
    row(&[("http_proxy", "http://{world}"), ELSEWHERE, KEY, SECRET, REGION], FAR, Proxied("POST http://{far}/")),
    row(&[("HTTP_PROXY", ""), ELSEWHERE, KEY, SECRET, REGION], FAR, Direct("VARIABLE")),
    row(
        &[("HTTP_PROXY", "http://proxy:none"), ELSEWHERE, KEY, SECRET, REGION],
        "Error: HTTP_PROXY is not the URL of an HTTP proxy, such as http://proxy.example:3128",
        Nothing,
    ),
    row(
        &[("NO_PROXY", "0.0.0.0"), ("HTTP_PROXY", "http://127.0.0.1:1"), ELSEWHERE, KEY, SECRET, REGION],
        FAR,
        Direct("VARIABLE"),
    ),
    row(
        &[("no_proxy", "*"), ("HTTP_PROXY", "http://127.0.0.1:1"), ELSEWHERE, KEY, SECRET, REGION],
        FAR,
        Direct("VARIABLE"),
    ),
    row(
        &[("NO_PROXY", ""), ("HTTP_PROXY", "http://{world}"), ELSEWHERE, KEY, SECRET, REGION],
        FAR,
        Proxied("POST http://{far}/"),
    ),
    row(
        &[("NO_PROXY", "no such host,,"), ("HTTP_PROXY", "http://{world}"), ELSEWHERE, KEY, SECRET, REGION],
        FAR,
        Proxied("POST http://{far}/"),
    ),
    // Endpoints on this machine are never reached through a proxy, so invalid proxies are harmless.
    row(&[("HTTP_PROXY", "http://127.0.0.1:1"), ("HTTPS_PROXY", "http://127.0.0.1:1"), WORLD], HERE, Direct("local")),
    row(&[("HTTP_PROXY", "socks5://127.0.0.1:1"), WORLD], HERE, Direct("local")),
];

/// Services other than DynamoDB, by commands that call them.
pub(super) const SERVICES: &[Row] = &[
    option(
        &["list"],
        &[("AWS_ENDPOINT_URL", ""), KEY, SECRET, REGION, PROXY],
        "Error: Failed to list stacks: cloudformation:DescribeStacks failed: the endpoint could not be reached",
        Proxied("CONNECT cloudformation.eu-west-1.amazonaws.com:443"),
    ),
    option(&["list"], &[KEY, SECRET], NO_REGION, Nothing),
    option(
        &["list"],
        &[ELSEWHERE, REGION],
        "Error: Failed to list stacks: no usable AWS credentials were found",
        Nothing,
    ),
    option(
        &["list"],
        &[("AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API", "localhost:5620"), KEY, SECRET, REGION],
        "Error: the endpoint 'localhost:5620' (from AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API) lacks a scheme: \
         did you mean http://localhost:5620?",
        Nothing,
    ),
    option(
        &["list", "--endpoint-url", "http://127.0.0.1:1"],
        &[],
        "Error: Failed to list stacks: cloudformation:DescribeStacks failed: the endpoint could not be reached",
        Nothing,
    ),
    option(
        &["deploy", "--no-code", "--endpoint-url", "127.0.0.1:1"],
        &[],
        "Error: the endpoint '127.0.0.1:1' lacks a scheme: did you mean http://127.0.0.1:1?",
        Nothing,
    ),
];
