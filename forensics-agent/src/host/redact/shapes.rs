//! Values that betray themselves: tokens of known services, URL userinfo, PEM blocks, random words.

use std::ops::Range;

/// Prefixes of tokens, with the least number of characters that must follow.
const PREFIXES: &[(&str, usize)] = &[
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16), // GitHub
    ("glpat-", 10),
    ("glrt-", 10),
    ("gldt-", 10),
    ("glcbt-", 10), // GitLab
    ("sk-", 16),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 8), // OpenAI, Stripe
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xoxe-", 8),
    ("xapp-", 8), // Slack
    ("AKIA", 16),
    ("ASIA", 16), // Amazon
    ("AIza", 30),
    ("ya29.", 16),
    ("GOCSPX-", 16), // Google
    ("npm_", 16),
    ("hf_", 16),
    ("pypi-", 16),
    ("dckr_pat_", 16),
    ("dop_v1_", 16),
    ("shpat_", 16),
    ("SG.", 20),
    ("hvs.", 16),
    ("hvb.", 16),
    ("hvr.", 16),
    ("lin_api_", 16),
    ("nvapi-", 16),
    ("gsk_", 16),
    ("r8_", 16),
    ("xai-", 16),
    ("figd_", 16),
    ("ATATT", 20),
    ("tvly-", 16),
    ("AGE-SECRET-KEY-1", 16),
    ("eyJ", 16),
];

/// Shortest word that is judged by its randomness, bytes.
const MIN_RANDOM: usize = 20;

/// Bytes of a token that are looked at to tell it from a word.
const MAX_TOKEN: usize = 256;

/// `-----BEGIN X-----` to its end line, or to the end of the text.
pub(super) fn pem_blocks(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // To search for a text costs more to set up than most words are long; for a character it costs nothing.
    if !text.contains('-') {
        return found;
    }
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|rest| rest.find("-----BEGIN ")).map(|i| at + i) {
        let end = text.get(start..).and_then(|rest| {
            let line = rest.find("-----END ")?;
            let dashes = rest.get(line + 9..)?.find("-----")?;
            Some(start + line + 9 + dashes + 5)
        });
        at = end.unwrap_or(text.len());
        found.push(start..at);
    }
    found
}

/// The password, or the token in the place of the user, of each URL in the word.
pub(super) fn url_userinfo(word: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !word.contains(':') {
        return found;
    }
    let mut at = 0;
    while let Some(start) = word.get(at..).and_then(|rest| rest.find("://")).map(|i| at + i + 3) {
        let rest = word.get(start..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || "'\"<>".contains(c)).unwrap_or(rest.len());
        let end = rest.get(..end).and_then(next_in_list).unwrap_or(end);
        let web =
            word.get(..start - 3).is_some_and(|before| before.ends_with("http") || before.ends_with("https"));
        found.extend(
            userinfo(rest.get(..end).unwrap_or_default(), web).map(|r| r.start + start..r.end + start),
        );
        at = start + end;
    }
    found
}

/// Where the next URL of a list begins: after a separator and a scheme. A password may hold a bare `://`.
fn next_in_list(text: &str) -> Option<usize> {
    text.match_indices("://").map(|(at, _)| at).find(|&at| {
        let before = text.get(..at).unwrap_or_default();
        let scheme = before.bytes().rev().take(16).take_while(u8::is_ascii_lowercase).count();
        scheme >= 2 && before.get(..at - scheme).is_some_and(|before| before.ends_with([',', ';', '|']))
    })
}

/// The secret of `user:password@host/path`. A password may hold a raw `@`, `/` or `?` all the same; in the
/// URL of a web page what follows digits and a slash is a path.
fn userinfo(url: &str, web: bool) -> Option<Range<usize>> {
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    let at = url.rfind('@')?;
    let secret = match url.get(..at)?.find(':') {
        Some(colon) if colon > end => return None,
        Some(colon) => {
            let port = url.get(colon + 1..end)?;
            let path = url.get(end..)?.starts_with('/')
                && !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit());
            (!(web && path)).then_some(colon + 1..at)?
        }
        // A lone user name is no secret; a token is.
        None => {
            let at = url.get(..end)?.rfind('@')?;
            (at >= 16 && url.get(..at)?.bytes().any(|b| b.is_ascii_digit())).then_some(0..at)?
        }
    };
    (!secret.is_empty()).then_some(secret)
}

/// Tokens of known services, and words too random to mean anything.
pub(super) fn tokens(word: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let run_character =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '.' | '~');
    for run in word.split(|c: char| !run_character(c)) {
        let offset = start;
        start += run.len()
            + word.get(start + run.len()..).and_then(|r| r.chars().next()).map_or(0, char::len_utf8);
        if run.len() < 8 {
            continue;
        }
        if let Some(range) = known_token(run) {
            found.push(range.start + offset..range.end + offset);
        } else {
            found.extend(random_parts(run).into_iter().map(|r| r.start + offset..r.end + offset));
        }
    }
    found
}

/// True for the first byte of one of [`PREFIXES`], which few bytes are.
fn begins_a_prefix(byte: u8) -> bool {
    const FIRST: u128 = {
        let (mut first, mut left) = (0, PREFIXES);
        while let [(prefix, _), rest @ ..] = left {
            if let [byte, ..] = prefix.as_bytes() {
                first |= 1 << *byte;
            }
            left = rest;
        }
        first
    };
    byte.is_ascii() && FIRST & 1 << byte != 0
}

/// The first token of a known service in the run, to the end of the run.
fn known_token(run: &str) -> Option<Range<usize>> {
    let bytes = run.as_bytes();
    for start in 0..bytes.len() {
        let boundary = start == 0
            || bytes.get(start - 1).is_none_or(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')));
        let first = bytes.get(start);
        if !boundary || !first.is_some_and(|&byte| begins_a_prefix(byte)) {
            continue;
        }
        let Some(rest) = run.get(start..) else { continue };
        // Nearly every prefix fails on its first byte, which costs no call.
        let possible = PREFIXES.iter().filter(|(prefix, _)| prefix.as_bytes().first() == first);
        let known = possible.into_iter().any(|(prefix, least)| {
            rest.strip_prefix(prefix).is_some_and(|tail| {
                let token = tail.bytes().take(MAX_TOKEN).take_while(|b| !matches!(b, b'/' | b'+' | b'='));
                token.clone().count() >= *least
                    && token.clone().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            })
        });
        if known {
            return Some(start..run.len());
        }
    }
    None
}

/// The parts of a run that look like random base64. A path is judged name by name.
fn random_parts(run: &str) -> Vec<Range<usize>> {
    // Base64 with its `+`, `=` or no more than a few slashes is judged whole; 40 characters is an AWS secret key.
    let base64 = !run.starts_with(['/', '.', '~']) && !run.contains(['.', '~', '_', '-']);
    if base64 && (run.contains('+') || run.ends_with('=') || run.len() == 40) && is_random(run) {
        return std::iter::once(0..run.len()).collect();
    }
    let mut found = Vec::new();
    let mut start = 0;
    for part in run.split(['/', '.', '~', '=']) {
        if is_random(part) {
            found.push(start..start + part.len());
        }
        start += part.len() + 1;
    }
    found
}

/// True for text with the mix of cases and digits that only chance gives. Hex, UUIDs, names in one case and
/// camel-case words are not: they change between lower case, upper case and digits once in four characters or
/// less, and random base64 twice as often.
fn is_random(text: &str) -> bool {
    if text.len() < MIN_RANDOM || text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        return false;
    }
    let count = |class: fn(&u8) -> bool| text.as_bytes().iter().filter(|b| class(b)).count();
    let (lower, upper, digits) =
        (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase), count(u8::is_ascii_digit));
    if lower < 3 || upper < 3 || (digits == 0 && text.len() < 32) {
        return false;
    }
    let class = |b: u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    // An upper-case letter that begins a word is no change, as in `CamelCase`.
    let pairs = text.as_bytes().iter().zip(text.as_bytes().iter().skip(1));
    let changes = pairs.filter(|&(&a, &b)| class(a) != class(b) && (class(a), class(b)) != (1, 0)).count();
    (changes + 1) * 7 >= text.len() * 2 && entropy(text) >= 3.6
}

/// Shannon entropy, bits per byte.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let length = text.len() as f64;
    let share = |&count: &u32| f64::from(count) / length;
    -counts.iter().filter(|&&count| count > 0).map(share).map(|p| p * p.log2()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_not_random() {
        for text in [
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "0B5C1E2F-6f1e-4c8e-9a49-2f4c3d5e6f7a",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "org.springframework.boot.SpringApplicationAdminJmxAutoConfiguration2",
            "/usr/lib/x86_64-linux-gnu/libQt5Core.so.5.15.8",
            "nginx-deployment-7d9f8b6c5d-x2x4q",
            "NetworkServiceInProcess2,BackForwardCacheV8",
            "GOOGLE_CLOUD_PROJECT_NUMBER_1234567890",
        ] {
            assert!(tokens(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn random_words_are() {
        for text in [
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "q7Xz9LmP2vBn4KtR8wYc",
            "Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg==",
        ] {
            assert_eq!(tokens(text).first(), Some(&(0..text.len())), "{text}");
        }
    }

    #[test]
    fn userinfo_of_urls() {
        let secret = |url: &str| url_userinfo(url).first().map(|range| url[range.clone()].to_owned());
        assert_eq!(secret("redis://:pw@h").as_deref(), Some("pw"));
        assert_eq!(secret("pg://u://p?@h").as_deref(), Some("//p?"));
        let list = "amqp://u:a@h,amqp://u:b@h";
        assert_eq!(url_userinfo(list), [9..10, 22..23]);
        assert_eq!(secret("pg://u:p@ss/w0rd@h/x").as_deref(), Some("p@ss/w0rd"));
        assert_eq!(secret("https://0123456789abcdef0123@h/x").as_deref(), Some("0123456789abcdef0123"));
        for plain in
            ["ssh://git@host/x", "http://h:8080/@user", "https://medium.com/@user/post", "a://", "://@"]
        {
            assert_eq!(secret(plain), None, "{plain}");
        }
    }
}
