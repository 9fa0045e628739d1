//! One row per source of credentials and kind of value.

use super::rows::{
    Calls::{Direct, None as Nothing},
    ELSEWHERE, FAR, HERE, KEY, REGION, Row, SECRET, WORLD, row,
};

pub(super) const CREDENTIALS: &[Row] = &[
    row(&[KEY, SECRET, WORLD], HERE, Direct("VARIABLE")),
    row(&[KEY, SECRET, ("AWS_SESSION_TOKEN", ""), WORLD], HERE, Direct("VARIABLE")),
    row(
        &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", ""), ("AWS_PROFILE", "keys"), WORLD],
        HERE,
        Direct("PROFILE"),
    ),
    row(
        &[KEY, ELSEWHERE, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{far}: AWS_ACCESS_KEY_ID is set, but \
         AWS_SECRET_ACCESS_KEY is not",
        Nothing,
    ),
    row(
        &[("AWS_ACCESS_KEY_ID", ""), SECRET, ELSEWHERE, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{far}: AWS_SECRET_ACCESS_KEY is set, but \
         AWS_ACCESS_KEY_ID is not",
        Nothing,
    ),
    row(
        &[ELSEWHERE, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{far}: no usable AWS credentials were found",
        Nothing,
    ),
    row(
        &[("AWS_PROFILE", ""), ELSEWHERE, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{far}: no usable AWS credentials were found",
        Nothing,
    ),
    row(&[("AWS_PROFILE", "keys"), WORLD], HERE, Direct("PROFILE")),
    row(
        &[("AWS_PROFILE", "crop"), ELSEWHERE, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{far}: AWS_PROFILE is 'crop', but the AWS \
         configuration files have no such profile",
        Nothing,
    ),
    row(
        &[("AWS_PROFILE", "half"), ELSEWHERE, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{far}: profile 'half' has only one half of a key",
        Nothing,
    ),
    row(&[("AWS_CONFIG_FILE", ""), ("AWS_PROFILE", "keys"), WORLD], HERE, Direct("PROFILE")),
    row(
        &[("AWS_CONFIG_FILE", "{home}/broken"), ELSEWHERE, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{far}: the AWS configuration files cannot be read: \
         error parsing {home}/broken on line 2",
        Nothing,
    ),
    row(
        &[
            ("AWS_CONFIG_FILE", "{home}/none"),
            ("AWS_SHARED_CREDENTIALS_FILE", ""),
            ("AWS_PROFILE", "keys"),
            ELSEWHERE,
            REGION,
        ],
        "Error: Failed to connect to stack 'limiter' at http://{far}: AWS_PROFILE is 'keys', but the AWS \
         configuration files have no such profile",
        Nothing,
    ),
    row(&[("AWS_SHARED_CREDENTIALS_FILE", "{home}/none"), ("AWS_PROFILE", "keys"), WORLD], HERE, Direct("PROFILE")),
    row(&[("AWS_PROFILE", "process"), WORLD], HERE, Direct("PROCESS")),
    row(
        &[("AWS_PROFILE", "failing"), WORLD],
        "Error: Failed to connect to stack 'limiter' at http://{world}: the credential_process of profile 'failing' \
         gave no credentials",
        Nothing,
    ),
    row(&[("AWS_PROFILE", "sso"), WORLD], HERE, Direct("IDENTITYCENTER")),
    row(&[("AWS_PROFILE", "legacy"), WORLD], HERE, Direct("IDENTITYCENTER")),
    row(&[("AWS_PROFILE", "sso"), ("AWS_ENDPOINT_URL_SSO", ""), WORLD], HERE, Direct("IDENTITYCENTER")),
    row(
        &[("AWS_PROFILE", "ended"), WORLD],
        "Error: Failed to connect to stack 'limiter' at http://{world}: profile 'ended' gave no credentials: its \
         IAM Identity Center session has expired or is misconfigured",
        Nothing,
    ),
    row(
        &[("AWS_PROFILE", "lost"), WORLD],
        "Error: Failed to connect to stack 'limiter' at http://{world}: profile 'lost' gave no credentials: its IAM \
         Identity Center session has expired or is misconfigured",
        Nothing,
    ),
    row(
        &[("AWS_PROFILE", "console"), WORLD],
        "Error: Failed to connect to stack 'limiter' at http://{world}: profile 'console' gave no credentials: its \
         console session has expired",
        Nothing,
    ),
    row(&[("AWS_PROFILE", "role"), WORLD, REGION], HERE, Direct("ASSUMED")),
    row(&[("AWS_PROFILE", "role"), ("AWS_ENDPOINT_URL_STS", ""), WORLD, REGION], HERE, Direct("ASSUMED")),
    row(
        &[("AWS_PROFILE", "ended-role"), WORLD, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{world}: the role of profile 'ended-role' could not \
         be assumed",
        Nothing,
    ),
    row(
        &[("AWS_PROFILE", "circle"), WORLD],
        "Error: Failed to connect to stack 'limiter' at http://{world}: the role of profile 'circle' could not be \
         assumed",
        Nothing,
    ),
    row(&[("AWS_PROFILE", "web"), WORLD, REGION], HERE, Direct("WEBIDENTITY")),
    row(
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "{home}/token"),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/limits"),
            WORLD,
            REGION,
        ],
        HERE,
        Direct("WEBIDENTITY"),
    ),
    row(&[("AWS_WEB_IDENTITY_TOKEN_FILE", ""), ("AWS_ROLE_ARN", ""), WORLD], HERE, Direct("local")),
    row(
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "{home}/none"),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/limits"),
            WORLD,
            REGION,
        ],
        "Error: Failed to connect to stack 'limiter' at http://{world}: the token in AWS_WEB_IDENTITY_TOKEN_FILE \
         gave no credentials",
        Nothing,
    ),
    row(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://{world}/container"), WORLD], HERE, Direct("CONTAINER")),
    row(
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://{world}/container"),
            ("AWS_PROFILE", "container"),
            WORLD,
            REGION,
        ],
        HERE,
        Direct("ASSUMED"),
    ),
    row(
        &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ""), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", ""), WORLD],
        HERE,
        Direct("local"),
    ),
    row(
        &[
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", ""),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://{world}/container"),
            WORLD,
        ],
        HERE,
        Direct("CONTAINER"),
    ),
    row(
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://198.51.100.1/container"), WORLD],
        "Error: Failed to connect to stack 'limiter' at http://{world}: the address in \
         AWS_CONTAINER_CREDENTIALS_FULL_URI gave no credentials",
        Nothing,
    ),
    row(
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://{world}"), ("AWS_EC2_METADATA_DISABLED", ""), ELSEWHERE],
        FAR,
        Direct("MACHINE"),
    ),
    row(
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense"), ("AWS_EC2_METADATA_DISABLED", ""), ELSEWHERE, REGION],
        "Error: Failed to connect to stack 'limiter' at http://{far}: no usable AWS credentials were found",
        Nothing,
    ),
];
