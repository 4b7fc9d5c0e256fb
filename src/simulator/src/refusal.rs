//! The refusals: the four documented ones word for word, and the undocumented ones.

use http::StatusCode;
use serde_json::{Value, json};

use super::settings::{BadKey, Refusal};

fn bad_request(code: &str, message: &str, fields: &[&str]) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, code, message, fields)
}

fn refusal(status: StatusCode, code: &str, message: &str, fields: &[&str]) -> Refusal {
    Refusal {
        status: status.into(),
        error_code: code.into(),
        error_message: message.into(),
        fields: fields.iter().map(ToString::to_string).collect(),
    }
}

impl Refusal {
    /// The documented body.
    pub(super) fn body(&self) -> Value {
        json!({"error_code": self.error_code, "error_message": self.error_message, "fields": self.fields})
    }
}

// The documented four.

pub(super) fn number_type() -> Refusal {
    bad_request(
        "NUMBER_ORDER_ILLEGAL_NUMBER_TYPE",
        "Only 'GEOGRAPHICAL' number type is acceptable.",
        &["number_type"],
    )
}

pub(super) fn verification_id() -> Refusal {
    bad_request(
        "NUMBER_ORDER_VERIFICATION_ID_NOT_VALID",
        "Invalid verificationId. Valid document UUID expected.",
        &["verification_id"],
    )
}

pub(super) fn link_number() -> Refusal {
    bad_request(
        "NUMBER_ORDER_WRONG_LINK_NUMBER",
        "The provided link phone number is not valid. You can use only suitable for linking numbers which are \
         assigned to your account.",
        &["link_to_number"],
    )
}

pub(super) fn push_secret() -> Refusal {
    bad_request(
        "NUMBER_ORDER_INVALID_PUSH_SECRET",
        "Provided push secret is not valid. Text up to 64 characters long is allowed.",
        &["push_secret"],
    )
}

// Codes of our own: the contract names none.

pub(super) fn bad_key(kind: BadKey) -> Refusal {
    let status = match kind {
        BadKey::Forbidden => StatusCode::FORBIDDEN,
        BadKey::BadCredentials => StatusCode::BAD_REQUEST,
    };
    refusal(status, "BAD_CREDENTIALS", "The access key is not valid.", &["access_key"])
}

pub(super) fn unknown_method() -> Refusal {
    refusal(StatusCode::NOT_FOUND, "UNKNOWN_METHOD", "There is no such method.", &[])
}

pub(super) fn too_large() -> Refusal {
    refusal(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", "The request is too large.", &[])
}

pub(super) fn too_many() -> Refusal {
    refusal(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "Too many requests.", &[])
}

pub(super) fn not_json() -> Refusal {
    bad_request("INVALID_REQUEST", "The request is not a JSON object.", &[])
}

pub(super) fn missing(fields: &[&str]) -> Refusal {
    bad_request("MISSING_PARAMETER", "A required parameter is missing or not a text.", fields)
}

pub(super) fn document_type() -> Refusal {
    bad_request("VERIFICATION_INVALID_DOCUMENT_TYPE", "Unknown document type.", &["document_type"])
}

pub(super) fn document_data() -> Refusal {
    bad_request(
        "VERIFICATION_INVALID_DOCUMENT",
        "A PDF document in base64 (RFC 4648) is expected.",
        &["document_data"],
    )
}

pub(super) fn area_code() -> Refusal {
    bad_request("VERIFICATION_INVALID_AREA_CODE", "Unknown area code.", &["area_code"])
}

pub(super) fn push_url() -> Refusal {
    bad_request("NUMBER_ORDER_INVALID_PUSH_URL", "The push URL is not valid.", &["push_url"])
}

pub(super) fn cancel_number() -> Refusal {
    bad_request(
        "NUMBER_CANCEL_WRONG_NUMBER",
        "The number is not one of your account, or is cancelled already.",
        &["phone_number"],
    )
}
