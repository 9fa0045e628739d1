//! The grammar of `Forwarded` (RFC 7239, section 4).
//!
//! ```text
//! Forwarded: for=192.0.2.43;proto=https, for="[2001:db8::1]:4711"
//! ```
//!
//! Each proxy appends an element. The client is searched from the right: elements of trusted proxies are believed, and
//! the first address that does not belong to a trusted proxy is the client's. Everything to its left is the client's
//! own claim.

/// Returns the `for` values of the elements, in order and unquoted; empty for an element that has none.
///
/// Parses the whole field strictly from the left, because a quotation mark left open by a client must not swallow what
/// a proxy appended: such a field is an error. One exception: `:`, `[` and `]` may appear outside quotes, because
/// proxies write them that way.
pub(super) fn for_nodes(field: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    let mut reader = Reader { rest: field };
    let mut nodes = Vec::new();
    loop {
        nodes.push(reader.element()?);
        if reader.rest.is_empty() {
            return Ok(nodes);
        }
        reader.expect(b',', "an element ends with a comma")?;
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Pairs separated by semicolons, up to a comma or the end.
    fn element(&mut self) -> Result<&'a [u8], &'static str> {
        let mut node = None;
        loop {
            self.skip_spaces();
            if !matches!(self.rest.first(), None | Some(b',' | b';')) {
                let name = self.take_while(is_token);
                if name.is_empty() {
                    return Err("a parameter has no name");
                }
                self.expect(b'=', "a parameter is a name and a value")?;
                let value = self.value()?;
                if name.eq_ignore_ascii_case(b"for") && node.replace(value).is_some() {
                    return Err("`for` is given twice in one element");
                }
                self.skip_spaces();
            }
            if self.rest.first() != Some(&b';') {
                return Ok(node.unwrap_or_default());
            }
            self.rest = &self.rest[1..];
        }
    }

    /// Reads a token or a quoted string.
    fn value(&mut self) -> Result<&'a [u8], &'static str> {
        if self.rest.first() != Some(&b'"') {
            let value = self.take_while(|byte| is_token(byte) || matches!(byte, b':' | b'[' | b']'));
            return if value.is_empty() { Err("a parameter has no value") } else { Ok(value) };
        }
        self.rest = &self.rest[1..];
        let (mut length, mut escaped) = (0, false);
        for &byte in self.rest {
            match byte {
                _ if escaped => escaped = false,
                // The backslash stays in the value. No address contains one, so the value is rejected as an address.
                b'\\' => escaped = true,
                b'"' => {
                    let value = &self.rest[..length];
                    self.rest = &self.rest[length + 1..];
                    return Ok(value);
                }
                _ => {}
            }
            length += 1;
        }
        Err("a quotation mark is not closed")
    }

    /// Takes bytes while they are `wanted`.
    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| wanted(**byte)).count();
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Skips optional white space.
    fn skip_spaces(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// Takes one byte, or fails with `problem`.
    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), &'static str> {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(problem),
        }
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        // The first six are the examples of RFC 7239, sections 4 and 7.1.
        let table: &[(&str, Result<&[&str], &str>)] = &[
            ("for=\"_gazonk\"", Ok(&["_gazonk"])),
            ("For=\"[2001:db8:cafe::17]:4711\"", Ok(&["[2001:db8:cafe::17]:4711"])),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", Ok(&["192.0.2.60"])),
            ("for=192.0.2.43, for=198.51.100.17", Ok(&["192.0.2.43", "198.51.100.17"])),
            ("for=_hidden, for=_SEVKISEK", Ok(&["_hidden", "_SEVKISEK"])),
            (
                "for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown",
                Ok(&["192.0.2.43", "[2001:db8:cafe::17]", "unknown"]),
            ),
            ("for=1.2.3.4:80;by=[::1]", Ok(&["1.2.3.4:80"])),
            ("proto=https;by=1.1.1.1", Ok(&[""])),
            ("by=\"a, for=6.6.6.6\";for=1.2.3.4", Ok(&["1.2.3.4"])),
            ("host=\"a\\\", for=6.6.6.6;x=\\\"\";for=1.2.3.4", Ok(&["1.2.3.4"])),
            ("", Ok(&[""])),
            (" , ;, for=1.2.3.4 ;", Ok(&["", "", "1.2.3.4"])),
            ("for=1.2.3.4,", Ok(&["1.2.3.4", ""])),
            ("for=1.2.3.4;for=5.6.7.8", Err("twice")),
            ("for=1.2.3.4;FOR=5.6.7.8", Err("twice")),
            ("for=\"1.2.3.4", Err("not closed")),
            ("for=\"1.2.3.4\\\"", Err("not closed")),
            ("for=\"1.2.3.4\"x", Err("comma")),
            ("for=\"1.1.1.1\" for=2.2.2.2", Err("comma")),
            ("for=", Err("no value")),
            ("for=;by=x", Err("no value")),
            ("for", Err("name and a value")),
            ("for = 1.2.3.4", Err("name and a value")),
            ("=1.2.3.4", Err("no name")),
            ("1.2.3.4", Err("name and a value")),
            ("for=1.2.3.4\u{e9}", Err("comma")),
        ];
        for (field, expected) in table {
            match (for_nodes(field.as_bytes()), expected) {
                (Ok(nodes), Ok(expected)) => {
                    let expected: Vec<&[u8]> = expected.iter().map(|node| node.as_bytes()).collect();
                    assert_eq!(nodes, expected, "{field}");
                }
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{field}: {problem}"),
                (got, _) => panic!("{field}: {got:?}"),
            }
        }
    }
}
