//! Messages: calls as they come, replies as they go.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A call, without the NUL that ends it.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    /// Interface and method, as `org.varlink.service.GetInfo`.
    pub(super) method: String,
    /// Its parameters by name; null and absent are none.
    #[serde(default)]
    pub(super) parameters: Option<Map<String, Value>>,
    /// No reply is wanted.
    #[serde(default)]
    pub(super) oneway: Option<bool>,
}

impl Call {
    /// Reads a call. None for what is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The interface and the name of the method.
    pub(super) fn path(&self) -> (&str, &str) {
        self.method.rsplit_once('.').unwrap_or(("", &self.method))
    }
}

/// An error, by its full name, with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Error {
    name: String,
    parameters: Value,
}

impl Error {
    /// One of `org.varlink.service`.
    fn of_service(name: &str, parameters: Value) -> Self {
        Self { name: format!("org.varlink.service.{name}"), parameters }
    }

    /// One of the agent's own interface.
    pub(super) fn own(name: &str, parameters: Value) -> Self {
        Self { name: format!("{}.{name}", super::interface::AGENT), parameters }
    }

    /// There is no such interface.
    pub(super) fn interface_not_found(interface: &str) -> Self {
        Self::of_service("InterfaceNotFound", json!({ "interface": interface }))
    }

    /// There is no such method.
    pub(super) fn method_not_found(method: &str) -> Self {
        Self::of_service("MethodNotFound", json!({ "method": method }))
    }

    /// A parameter is missing, unknown, or of a wrong type or value.
    pub(super) fn invalid_parameter(parameter: &str) -> Self {
        Self::of_service("InvalidParameter", json!({ "parameter": parameter }))
    }

    /// The peer may not see that.
    pub(super) fn permission_denied() -> Self {
        Self::of_service("PermissionDenied", json!({}))
    }
}

#[derive(Serialize)]
struct Reply<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    parameters: &'a Value,
}

/// The bytes of a reply, with the NUL that ends it.
pub(super) fn reply(result: &Result<Value, Error>) -> Vec<u8> {
    let reply = match result {
        Ok(parameters) => Reply { error: None, parameters },
        Err(Error { name, parameters }) => Reply { error: Some(name), parameters },
    };
    // A `Value` has string keys only, so it can always be written.
    let mut bytes = serde_json::to_vec(&reply).unwrap_or_default();
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls() {
        let call = Call::parse(br#"{"method":"a.b.C","parameters":{"x":1},"more":true}"#).expect("a call");
        assert_eq!(call.path(), ("a.b", "C"));
        assert_eq!(call.parameters.expect("some").len(), 1);
        for without in [r#"{"method":"C"}"#, r#"{"method":"C","parameters":null,"oneway":true}"#] {
            let call = Call::parse(without.as_bytes()).expect("a call");
            assert!(call.parameters.is_none());
            assert_eq!(call.path(), ("", "C"));
        }
        for bad in ["", "{}", "[]", "null", r#"{"method":3}"#, r#"{"method":"a.B","parameters":[]}"#, "\u{1}"]
        {
            assert!(Call::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Call::parse("[".repeat(16_384).as_bytes()).is_none(), "deep nesting");
    }

    #[test]
    fn replies_have_no_nul_within() {
        let bytes = reply(&Ok(json!({ "name": "a\0b\x1b" })));
        assert_eq!(bytes.iter().filter(|&&byte| byte == 0 || byte == 0x1b).count(), 1);
        assert_eq!(bytes.last(), Some(&0));
        let error = reply(&Err(Error::method_not_found("a.B")));
        let text = br#"{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"a.B"}}"#;
        assert_eq!(error.strip_suffix(b"\0"), Some(&text[..]));
    }
}
