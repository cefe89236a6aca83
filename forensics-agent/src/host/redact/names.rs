//! Names of options, variables, parameters and headers: which of them announce a secret.

use super::is_one_of;

/// Endings of a segment that make the whole name secret: `PGPASSWORD`, `clientsecret`, `authToken`.
const ENDINGS: [&str; 9] =
    ["password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "privatekey", "credential"];

/// Whole segments that make a name secret.
const SEGMENTS: [&str; 22] = [
    "pass",
    "pwd",
    "pw",
    "passin",
    "passout",
    "storepass",
    "keypass",
    "dbpass",
    "userpass",
    "rootpass",
    "pat",
    "creds",
    "cred",
    "authorization",
    "bearer",
    "cookie",
    "cookies",
    "jwt",
    "signature",
    "sig",
    "otp",
    "psk",
];

/// What stands before `key` when the key is a secret one.
const KEY_OWNERS: [&str; 25] = [
    "api",
    "access",
    "secret",
    "private",
    "encryption",
    "signing",
    "master",
    "account",
    "auth",
    "license",
    "service",
    "app",
    "openai",
    "anthropic",
    "shared",
    "storage",
    "session",
    "hmac",
    "webhook",
    "deploy",
    "admin",
    "write",
    "subscription",
    "ssh",
    "host",
];

/// Last segments that say the value is about a secret and not the secret: `--password-file`, `--token-ttl`.
const HARMLESS_ENDS: [&str; 38] = [
    "file",
    "files",
    "path",
    "dir",
    "stdin",
    "prompt",
    "type",
    "ttl",
    "expiry",
    "expires",
    "expiration",
    "lifetime",
    "length",
    "len",
    "size",
    "count",
    "limit",
    "url",
    "uri",
    "endpoint",
    "issuer",
    "env",
    "cmd",
    "command",
    "policy",
    "provider",
    "store",
    "mode",
    "manager",
    "budget",
    "id",
    "name",
    "fd",
    "timeout",
    "enabled",
    "helper",
    "max",
    "min",
];

/// Longest name that is looked at, bytes; what is longer is no name.
pub(super) const MAX_NAME: usize = 96;

/// Longest value that can be harmless, bytes (`PATH_MAX`).
const MAX_HARMLESS: usize = 4096;

/// True when a value that goes by this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    if name.len() > MAX_NAME {
        return false;
    }
    let lower = segments(name);
    let segments = || lower.split(SEPARATOR).filter(|segment| !segment.is_empty());
    let (Some(first), Some(last)) = (segments().next(), segments().next_back()) else { return false };
    if is_one_of(&HARMLESS_ENDS, last) || first == "no" {
        return false;
    }
    // Counts of language model tokens: `--max-tokens 4096`.
    let counts = segments().any(|segment| matches!(segment, "max" | "min" | "num" | "n"));
    if counts && matches!(last, "token" | "tokens") {
        return false;
    }
    let key = matches!(last, "key" | "keys")
        && segments().rev().nth(1).is_some_and(|owner| is_one_of(&KEY_OWNERS, owner));
    key || segments().any(|segment| {
        let singular = segment.strip_suffix('s').unwrap_or(segment);
        let ends = |ending: &&str| {
            singular.as_bytes().last() == ending.as_bytes().last() && singular.ends_with(*ending)
        };
        is_one_of(&SEGMENTS, segment) || ENDINGS.iter().any(ends)
    })
}

/// True when a value under a secret name is nevertheless no secret: a switch, a reference to a variable, the path
/// of a key, a count of tokens.
pub(super) fn is_harmless_value(name: &str, value: &str) -> bool {
    if value.len() > MAX_HARMLESS {
        return false;
    }
    let switch = ["true", "false", "yes", "no", "on", "off", "none", "null"];
    if value.is_empty() || switch.iter().any(|word| value.eq_ignore_ascii_case(word)) || is_reference(value) {
        return true;
    }
    let lower = name.to_ascii_lowercase();
    let path = value.starts_with(['/', '~', '.']) && value.contains('/') && !value.contains(['+', '=']);
    match lower.as_str() {
        "pwd" | "oldpwd" => path,
        // openssl-passphrase-options(1): only `pass:` is followed by the secret itself.
        "passin" | "passout" => ["env:", "file:", "fd:", "stdin"].iter().any(|p| value.starts_with(p)),
        _ if lower.ends_with("tokens") => value.bytes().all(|b| b.is_ascii_digit()),
        _ => lower.ends_with("key") && path,
    }
}

/// `$NAME` or `${NAME}`, which a shell has yet to expand.
fn is_reference(value: &str) -> bool {
    let Some(name) = value.strip_prefix('$') else { return false };
    let name = name.strip_prefix('{').and_then(|n| n.strip_suffix('}')).unwrap_or(name);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// What stands between the parts of a name.
const SEPARATOR: char = '-';

/// The parts of a name in lower case, some of them empty: `spring.dataSource_key` has four.
fn segments(name: &str) -> String {
    let mut lower = String::with_capacity(2 * name.len());
    let mut previous_lower = false;
    for c in name.chars() {
        let separator = !c.is_alphanumeric();
        if separator || (c.is_uppercase() && previous_lower) {
            lower.push(SEPARATOR);
        }
        previous_lower = c.is_lowercase();
        if c.is_ascii() && !separator {
            lower.push(c.to_ascii_lowercase());
        } else if !separator {
            lower.extend(c.to_lowercase());
        }
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names() {
        for name in [
            "password",
            "PGPASSWORD",
            "MYSQL_PWD",
            "api-key",
            "apiKey",
            "X-Api-Key",
            "client_secret",
            "aws_secret_access_key",
            "spring.datasource.password",
            "GITHUB_TOKEN",
            "authToken",
            "with-token",
            "passin",
            "db_passwords",
            "X-Amz-Signature",
            "openai-key",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn names_that_only_sound_secret() {
        for name in [
            "",
            "keyspace",
            "passive",
            "password-file",
            "max-tokens",
            "tokenizer",
            "no-password",
            "bypass",
            "token-ttl",
            "TOKEN_MAX",
            "primary-key",
            "compass",
            "monkey",
            "AWS_ACCESS_KEY_ID",
            "password-stdin",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn values_that_give_nothing_away() {
        for (name, value) in [
            ("password", ""),
            ("password", "$DB_PASSWORD"),
            ("private-key", "/etc/ssl/x.pem"),
            ("tokens", "100"),
            ("PWD", "/root"),
            ("passin", "env:PW"),
            ("auth-token", "false"),
        ] {
            assert!(is_harmless_value(name, value), "{name} {value}");
        }
        assert!(!is_harmless_value("password", "/looks/like/a/path"));
        assert!(!is_harmless_value("password", "$ecret"));
    }
}
