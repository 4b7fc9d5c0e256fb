-- The health of a PhoneNumberOrder, as Argo CD asks for it: `obj` is the resource. No string library here.
local health = {
  Waiting = "Progressing",
  Ordering = "Progressing",
  AwaitingNumber = "Progressing",
  Assigned = "Healthy",
  Cancelling = "Progressing",
  Cancelled = "Healthy",
  OutcomeUnknown = "Degraded",
  Refused = "Degraded",
  Conflict = "Degraded",
  Suspended = "Suspended",
}

local status = obj.status or {}
if obj.metadata.deletionTimestamp ~= nil then
  -- Shown since Argo CD 3.6; before, it says "Pending deletion" without asking.
  return { status = "Progressing", deletionMessage = "the resource is being deleted; the number stays in the TENIOS account" }
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
  -- The spec can be invalid, or the verification rejected, while the order waits.
  hs.status = "Degraded"
elseif ready.reason == "AwaitingApproval" then
  -- A person has to record that the document is approved.
  hs.status = "Suspended"
elseif hs.status == nil then
  hs.status = "Progressing"
  hs.message = "this health check is older than the state " .. status.state .. "; " .. hs.message
end
return hs
