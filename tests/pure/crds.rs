use tenios_api::crd;

#[test]
fn the_committed_crds_are_what_the_types_generate() {
    let committed = include_str!("../../crds/tenios.dev.yaml");
    let generated = crd::to_yaml().unwrap();
    assert!(committed == generated, "crds/tenios.dev.yaml is out of date: run `make crds`");
}

#[test]
fn every_field_of_a_spec_is_described_bounded_and_exampled() {
    for crd in crd::all().iter().take(2) {
        let version = &crd.spec.versions[0];
        let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let spec = &schema.properties.as_ref().unwrap()["spec"];
        let mut wrong = Vec::new();
        check(&crd.spec.names.kind, spec, &mut wrong);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

type Schema = k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

fn check(path: &str, schema: &Schema, wrong: &mut Vec<String>) {
    if schema.description.is_none() {
        wrong.push(format!("{path} has no description"));
    }
    if schema.type_.as_deref() == Some("string") {
        let bounded = schema.enum_.is_some() || (schema.max_length.is_some());
        if !bounded {
            wrong.push(format!("{path} has no bound"));
        }
        if schema.example.is_none() {
            wrong.push(format!("{path} has no example"));
        }
    }
    for (name, child) in schema.properties.iter().flatten() {
        check(&format!("{path}.{name}"), child, wrong);
    }
}

#[test]
fn a_resource_that_was_never_visited_does_not_look_current() {
    for crd in crd::all().iter().take(2) {
        let yaml = serde_json::to_value(crd).unwrap();
        let status = &yaml["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
        assert_eq!(status["default"], serde_json::json!({"observedGeneration": -1}));
        assert_eq!(status["properties"]["conditions"]["x-kubernetes-list-type"], "map");
    }
}
