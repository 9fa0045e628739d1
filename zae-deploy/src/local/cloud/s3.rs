//! S3's API for buckets and their objects, addressed by path.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED},
    },
    response::{IntoResponse, Response},
    routing::any,
};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    LocalCloud,
    buckets::Object,
    refusal::Refusal,
    xml::{self, Xml},
};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const LARGEST_PAGE: usize = 1_000;

pub(super) fn routes() -> Router<Arc<LocalCloud>> {
    Router::new()
        .route("/{bucket}", any(bucket))
        .route("/{bucket}/", any(bucket))
        .route("/{bucket}/{*key}", any(object))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Asked {
    prefix: String,
    delimiter: Option<String>,
    max_keys: Option<usize>,
    continuation_token: Option<String>,
    location: Option<String>,
}

fn refuse(method: &Method, problem: &Refusal) -> Response {
    let status = match problem.code {
        "NoSuchBucket" | "NoSuchKey" => StatusCode::NOT_FOUND,
        "BucketNotEmpty" => StatusCode::CONFLICT,
        "NotImplemented" => StatusCode::NOT_IMPLEMENTED,
        "InternalError" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    if method == Method::HEAD {
        return status.into_response();
    }
    let fields = [("Code", Xml::text(problem.code)), ("Message", Xml::text(&problem.message))];
    let mut answer = xml::document("Error", NAMESPACE, &Xml::Fields(fields.into()));
    *answer.status_mut() = status;
    answer
}

async fn bucket(
    State(cloud): State<Arc<LocalCloud>>,
    method: Method,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let done = match method {
        Method::PUT => cloud.buckets.create(&name).map(|()| StatusCode::OK.into_response()),
        Method::DELETE => cloud.buckets.remove(&name).map(|()| StatusCode::NO_CONTENT.into_response()),
        Method::HEAD => cloud.buckets.list(&name, "").map(|_| StatusCode::OK.into_response()),
        Method::GET if asked.location.is_some() => {
            cloud.buckets.list(&name, "").map(|_| xml::document("LocationConstraint", NAMESPACE, &Xml::text("")))
        }
        Method::GET => cloud.buckets.list(&name, &asked.prefix).map(|objects| listing(&name, &asked, objects)),
        _ => Err(Refusal::new("NotImplemented", "a local stack does not know this call")),
    };
    done.unwrap_or_else(|problem| refuse(&method, &problem))
}

/// Lists the buckets.
pub(super) fn buckets(cloud: &LocalCloud) -> Response {
    let buckets = cloud.buckets.names().into_iter().map(|name| {
        let fields = vec![("Name", Xml::text(name)), ("CreationDate", Xml::text("1970-01-01T00:00:00.000Z"))];
        ("Bucket", Xml::Fields(fields))
    });
    let buckets = Xml::Fields(vec![("Buckets", Xml::Fields(buckets.collect()))]);
    xml::document("ListAllMyBucketsResult", NAMESPACE, &buckets)
}

fn listing(bucket: &str, asked: &Asked, objects: Vec<Object>) -> Response {
    let after = asked.continuation_token.as_deref().unwrap_or_default();
    let largest = asked.max_keys.unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE);
    let delimiter = asked.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let (mut page, mut folders, mut next) = (Vec::new(), Vec::new(), None);
    for object in objects.into_iter().filter(|object| object.key.as_str() > after) {
        if page.len() + folders.len() == largest {
            next = page.last().map(|last: &Object| last.key.clone());
            break;
        }
        let rest = &object.key[asked.prefix.len()..];
        match delimiter.and_then(|delimiter| Some(&rest[..rest.find(delimiter)? + delimiter.len()])) {
            Some(folder) => {
                let folder = format!("{}{folder}", asked.prefix);
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
            None => page.push(object),
        }
    }
    let mut fields = vec![
        ("Name", Xml::text(bucket)),
        ("Prefix", Xml::text(&asked.prefix)),
        ("KeyCount", Xml::text((page.len() + folders.len()).to_string())),
        ("MaxKeys", Xml::text(largest.to_string())),
        ("IsTruncated", Xml::text(next.is_some().to_string())),
    ];
    fields.extend(next.map(|next| ("NextContinuationToken", Xml::text(next))));
    for object in page {
        let modified = object.modified.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default();
        let content = Xml::Fields(vec![
            ("Key", Xml::text(object.key)),
            ("LastModified", Xml::text(modified.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string())),
            ("Size", Xml::text(object.size.to_string())),
            ("StorageClass", Xml::text("STANDARD")),
        ]);
        fields.push(("Contents", content));
    }
    let folders = folders.into_iter().map(|folder| Xml::Fields(vec![("Prefix", Xml::text(folder))]));
    fields.extend(folders.map(|folder| ("CommonPrefixes", folder)));
    xml::document("ListBucketResult", NAMESPACE, &Xml::Fields(fields))
}

async fn object(
    State(cloud): State<Arc<LocalCloud>>,
    method: Method,
    Path((bucket, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let done = match method {
        Method::PUT => {
            let is_chunked = headers.get("content-encoding").is_some_and(|coding| {
                coding.to_str().is_ok_and(|coding| coding.split(',').any(|coding| coding.trim() == "aws-chunked"))
            });
            let body = if is_chunked { unchunk(&body) } else { Some(body.to_vec()) };
            let body = body.ok_or_else(|| Refusal::new("IncompleteBody", "The request body terminated unexpectedly"));
            body.and_then(|body| {
                cloud.buckets.put(&bucket, &key, &body)?;
                Ok([(ETAG, etag(&body))].into_response())
            })
        }
        Method::GET => cloud.buckets.get(&bucket, &key).and_then(|body| {
            let head = cloud.buckets.head(&bucket, &key)?;
            let headers = [(ETAG, etag(&body)), (LAST_MODIFIED, date(&head))];
            Ok((headers, [(CONTENT_TYPE, "application/octet-stream")], body).into_response())
        }),
        Method::HEAD => cloud.buckets.head(&bucket, &key).map(|head| {
            let headers = [(CONTENT_LENGTH, head.size.to_string()), (LAST_MODIFIED, date(&head))];
            headers.into_response()
        }),
        Method::DELETE => cloud.buckets.delete(&bucket, &key).map(|()| StatusCode::NO_CONTENT.into_response()),
        _ => Err(Refusal::new("NotImplemented", "a local stack does not know this call")),
    };
    done.unwrap_or_else(|problem| refuse(&method, &problem))
}

fn etag(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    format!("\"{}\"", hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn date(object: &Object) -> String {
    let modified = object.modified.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default();
    modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Extracts the content of a body that was sent in signed chunks: a length in hexadecimal digits, the chunk, and so on
/// until an empty one.
fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n")?;
        let head = std::str::from_utf8(&body[..end]).ok()?;
        let length = usize::from_str_radix(head.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(content);
        }
        let chunk = body.get(end + 2..end.checked_add(2)?.checked_add(length)?)?;
        content.extend_from_slice(chunk);
        body = body.get(end + 2 + length + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_chunks_are_put_together_and_broken_ones_refused() {
        let body = b"5;chunk-signature=ab\r\nhello\r\n3\r\n ab\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n";
        assert_eq!(unchunk(body).unwrap(), b"hello ab");
        for broken in [&b"5\r\nhel"[..], b"x\r\n", b"", b"ffffffffffffffff\r\na\r\n"] {
            assert_eq!(unchunk(broken), None, "{broken:?}");
        }
    }
}
