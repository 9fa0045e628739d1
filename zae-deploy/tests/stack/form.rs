//! Requests of AWS's query protocol.

/// Decodes the fields of a form, in order.
pub(crate) fn decode(body: &str) -> Vec<(String, String)> {
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (plain(k), plain(v))).collect()
}

/// Encodes fields as a form.
pub(crate) fn encode(fields: &[(String, String)]) -> String {
    let pairs: Vec<_> = fields.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value))).collect();
    pairs.join("&")
}

pub(crate) fn get<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Returns the values of `Prefix.member.N.Key` and `Prefix.member.N.Value`, by the names of the two fields.
pub(crate) fn members(fields: &[(String, String)], prefix: &str, key: &str, value: &str) -> Vec<(String, String)> {
    (1..)
        .map_while(|n| {
            let name = get(fields, &format!("{prefix}.member.{n}.{key}"))?;
            let text = get(fields, &format!("{prefix}.member.{n}.{value}"));
            Some((name.to_owned(), text.unwrap_or("(previous)").to_owned()))
        })
        .collect()
}

fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
