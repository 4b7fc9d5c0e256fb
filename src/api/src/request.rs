//! The names of requests to TENIOS (`docs/provider-api.md`): the endpoints, and in one table which field of the spec
//! each field of a request is made from, and who may see what is in it.

/// Where a request is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Submits a verification.
    CreateVerification,
    /// Orders a number.
    OrderNumber,
    /// Cancels a number.
    CancelNumber,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CreateVerification, Self::OrderNumber, Self::CancelNumber];

    /// The path below the base URL, without the slash.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::CreateVerification => "verification/create",
            Self::OrderNumber => "number/order",
            Self::CancelNumber => "number/cancel",
        }
    }

    /// The field of the answer that has the id, or what stands for one.
    #[must_use]
    pub fn id_field(self) -> &'static str {
        match self {
            Self::CreateVerification => "verification_id",
            Self::OrderNumber => "order_id",
            Self::CancelNumber => "cancellation_date",
        }
    }

    /// Whether TENIOS pushes what comes of it.
    #[must_use]
    pub fn is_pushed(self) -> bool {
        self == Self::OrderNumber
    }
}

/// Who may see what a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Everybody. A country names no place.
    Open,
    /// Nobody else, because it is personal data.
    Personal,
    /// Nobody else, and no part of it, because it opens a door.
    Key,
}

macro_rules! request_fields {
    ($($field:ident: $name:literal, $spec:literal, $secrecy:ident;)*) => {
        /// A field of a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RequestField {
            $(#[doc = concat!("`", $name, "`")] $field,)*
        }

        impl RequestField {
            const ALL: &[Self] = &[$(Self::$field),*];

            fn row(self) -> (&'static str, &'static str, Secrecy) {
                match self {
                    $(Self::$field => ($name, $spec, Secrecy::$secrecy),)*
                }
            }
        }
    };
}

// The provider's name; the field of the spec, or the flag, that it is made from; who may see it.
request_fields! {
    AccessKey: "access_key", "spec.accessKeySecretRef, or the operator's --access-key-file", Key;
    PushUrl: "push_url", "the operator's --push-base-url and --push-key-file", Open;
    PushSecret: "push_secret", "the operator's --push-base-url and --push-key-file", Key;
    Country: "country", "spec.address.country", Open;
    City: "city", "spec.address.city", Personal;
    Zip: "zip", "spec.address.zip", Personal;
    Street: "street", "spec.address.street", Personal;
    HouseNumber: "house_number", "spec.address.houseNumber", Personal;
    AreaCode: "area_code", "spec.areaCode", Open;
    DocumentType: "document_type", "spec.document.type", Open;
    // Pieces of a document are looked for in another way than those of a text.
    DocumentData: "document_data", "spec.document.secretRef", Open;
    NumberType: "number_type", "spec.numberType", Open;
    VerificationId: "verification_id", "spec.verificationRef or spec.verificationId", Open;
    LinkToNumber: "link_to_number", "spec.linkTo", Open;
    PhoneNumber: "phone_number", "spec.cancel.phoneNumber", Open;
}

impl RequestField {
    /// The provider's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What a person changes to change it.
    #[must_use]
    pub fn spec_path(self) -> &'static str {
        self.row().1
    }

    /// Who may see what it holds.
    #[must_use]
    pub fn secrecy(self) -> Secrecy {
        self.row().2
    }

    /// The field that the provider calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}
