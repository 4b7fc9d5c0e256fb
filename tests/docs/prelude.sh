# Words for the comments of the pages: what a reader has already when a page begins.

# A namespace that the following commands go to.
new_namespace() {
    kubectl create namespace "$1"
    kubectl config set-context --current --namespace "$1"
    kubectl create secret generic tenios --from-file=access-key
    kubectl create secret generic trade-register --from-file=extract.pdf
}

# verification NAME [APPROVAL]
verification() {
    kubectl apply -f - <<END
apiVersion: tenios.dev/v1alpha1
kind: PhoneVerification
metadata: {name: $1}
spec:
  address: {country: Germany, city: Köln, zip: "50667", street: Domkloster, houseNumber: "4"}
  areaCode: "221"
  document: {type: CERTIFICATE_OF_REGISTRATION, secretRef: {name: trade-register, key: extract.pdf}}
  accessKeySecretRef: {name: tenios, key: access-key}
  approval: ${2:-Pending}
END
}

# order NAME [FIELDS OF THE SPEC]
order() {
    local rest=${2:-'verificationRef: {name: cologne-office}'}
    kubectl apply -f - <<END
apiVersion: tenios.dev/v1alpha1
kind: PhoneNumberOrder
metadata: {name: $1}
spec: {accessKeySecretRef: {name: tenios, key: access-key}, $rest}
END
}

# What the quick start does.
install_operator() {
    kubectl apply -f deploy/base/namespace.yaml
    kubectl create secret generic tenios-access-key -n tenios-system --from-file=access-key
    kubectl create secret generic tenios-push-key -n tenios-system --from-literal=push-key="$(openssl rand -hex 32)"
    helm install tenios deploy/chart -n tenios-system --set push.baseUrl=https://push.example.com
    kubectl rollout status deployment/tenios-operator -n tenios-system --timeout=60s
}

# Nobody can write the ledger, until the binding is deleted.
refuse_the_ledger() {
    kubectl apply -f - <<END
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: refuse-the-ledger}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [tenios.dev], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [ledgerentries]}
  validations: [{expression: "false", message: refused by a policy}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: refuse-the-ledger}
spec: {policyName: refuse-the-ledger, validationActions: [Deny]}
END
    local entry=$(kubectl get ledgerentries -n tenios-system -o name | head -n 1)
    while kubectl annotate "$entry" -n tenios-system --overwrite tried="$RANDOM"; do sleep 0.2; done
}

# The kinds of Argo CD, Flux and Velero, without what acts on them.
install_crds_of_tools() {
    local crds
    crds=$(dirname "$(command -v kubeconform)")/crds
    kubectl apply --server-side -f "$crds"
    # kubectl gives up on an object that has no conditions yet.
    until kubectl wait --for=condition=Established --timeout=60s -f "$crds"; do sleep 0.5; done
}

# A list without what belongs to the objects that it was made of.
save() {
    "$@" -o json | grep -vE '^ {16}"(creationTimestamp|generation|resourceVersion|uid)":' | sed -zE 's/,(\n *\})/\1/g'
}

# What Velero says when it is through.
restored() {
    kubectl patch restores.velero.io "$1" -n velero --type=merge -p '{"status": {"phase": "Completed"}}'
}
