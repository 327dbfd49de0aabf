//! Certificates in PEM (RFC 7468), each read by itself, so that a torn one takes no other with it.
//!
//! The reader of `daymark-files` ends at the first torn section, so it cannot be used here.

use data_encoding::BASE64;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const BEGIN_ANY: &str = "-----BEGIN ";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a PEM text, in their order. `None` stands for one that is torn.
pub(crate) fn certificates(text: &[u8]) -> Vec<Option<Vec<u8>>> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    let mut body: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with(BEGIN_ANY) {
            if body.take().is_some() {
                found.push(None);
            }
            body = (line == BEGIN).then(String::new);
        } else if line == END {
            found.extend(body.take().map(|body| BASE64.decode(body.as_bytes()).ok()));
        } else if let Some(body) = &mut body {
            body.extend(line.split_whitespace());
        }
    }
    if body.is_some() {
        found.push(None);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_certificate_takes_no_other_with_it() {
        let good = format!("text\n{BEGIN}\nAAEC\nAw==\n{END}\r\n");
        let cut = format!("{BEGIN}\nAAEC\n");
        let odd = format!("{BEGIN}\nAAEC*\n{END}\n");
        let key = "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n";
        let bytes = Some(vec![0, 1, 2, 3]);
        assert_eq!(certificates(format!("{cut}{good}").as_bytes()), [None, bytes.clone()]);
        assert_eq!(certificates(format!("{good}{odd}{key}{good}").as_bytes()), [bytes.clone(), None, bytes.clone()]);
        assert_eq!(certificates(format!("{good}{cut}").as_bytes()), [bytes, None]);
        assert_eq!(certificates(b"no PEM"), []);
    }
}
