-- The health of a PhoneVerification, as Argo CD asks for it: `obj` is the resource. No string library here.
local health = {
  Waiting = "Progressing",
  Submitting = "Progressing",
  AwaitingApproval = "Progressing",
  Approved = "Healthy",
  Rejected = "Degraded",
  OutcomeUnknown = "Degraded",
  Refused = "Degraded",
  Conflict = "Degraded",
  Suspended = "Suspended",
}

local status = obj.status or {}
if obj.metadata.deletionTimestamp ~= nil then
  -- Shown since Argo CD 3.6; before, it says "Pending deletion" without asking.
  return { status = "Progressing", deletionMessage = "the resource is being deleted; what was submitted stays at TENIOS" }
end
if status.state == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not reconciled this resource yet" }
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready or {}
local hs = { status = health[status.state], message = (ready.reason or "") .. ": " .. (ready.message or "") }
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  -- The spec or the document can be invalid while the verification waits.
  hs.status = "Degraded"
elseif ready.reason == "AwaitingApproval" then
  -- A person has to record what the TENIOS portal shows. Probing continues automatically.
  hs.status = "Suspended"
elseif hs.status == nil then
  hs.status = "Progressing"
  hs.message = "this health check is older than the state " .. status.state .. "; " .. hs.message
end
return hs
