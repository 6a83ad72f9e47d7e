-- Wireshark dissector of lispfabric's Scale-Up frames (EtherType 0x88B5) and collectives (INCC, in Scale-Up frames and
-- UDP port 49169). Load it with: wireshark -X lua_script:$(lispfabric dissector) FILE

local ETHERTYPE, UDP_PORT = 0x88B5, 49169
local HEADER, INCC_HEADER = 24, 24

local operations = {
  [0] = "message", [1] = "load", [2] = "store", [3] = "atomic", [4] = "response", [5] = "collective",
}
local next_headers = { [0] = "none", [1] = "INCC" }
local kinds = { [0] = "contribution", [1] = "result", [2] = "clear" }
local combinations = { [0] = "sum", [1] = "minimum", [2] = "maximum", [3] = "and", [4] = "or", [5] = "xor" }

local scale_up = Proto("lispfabric_scaleup", "lispfabric Scale-Up")
local incc = Proto("lispfabric_incc", "lispfabric collective (INCC)")

local s = {
  version = ProtoField.uint8("lispfabric_scaleup.version", "Version", base.DEC, nil, 0xF0),
  operation = ProtoField.uint8("lispfabric_scaleup.operation", "Operation", base.DEC, operations, 0x0F),
  channel = ProtoField.uint8("lispfabric_scaleup.channel", "Virtual channel", base.DEC, nil, 0xE0),
  reorder = ProtoField.bool("lispfabric_scaleup.reorder", "Tolerates reordering", 8, nil, 0x10),
  ecn = ProtoField.uint8("lispfabric_scaleup.ecn", "ECN", base.DEC, nil, 0x03),
  hop_limit = ProtoField.uint8("lispfabric_scaleup.hop_limit", "Hop limit"),
  next_header = ProtoField.uint8("lispfabric_scaleup.next_header", "Next header", base.DEC, next_headers),
  destination = ProtoField.uint32("lispfabric_scaleup.dst", "Destination AccID"),
  source = ProtoField.uint32("lispfabric_scaleup.src", "Source AccID"),
  entropy = ProtoField.uint16("lispfabric_scaleup.entropy", "Entropy"),
  length = ProtoField.uint16("lispfabric_scaleup.length", "Length of what follows"),
  sequence = ProtoField.uint32("lispfabric_scaleup.sequence", "Sequence number"),
  tag = ProtoField.uint32("lispfabric_scaleup.tag", "Tag", base.HEX),
  payload = ProtoField.bytes("lispfabric_scaleup.payload", "Payload"),
}
scale_up.fields = s

local c = {
  version = ProtoField.uint8("lispfabric_incc.version", "Version", base.DEC, nil, 0xF0),
  kind = ProtoField.uint8("lispfabric_incc.kind", "Kind", base.DEC, kinds, 0x0F),
  operation = ProtoField.uint8("lispfabric_incc.operation", "Operation", base.DEC, combinations),
  empty = ProtoField.bool("lispfabric_incc.empty", "Empty: no values follow", 8, nil, 0x01),
  overflow = ProtoField.bool("lispfabric_incc.overflow", "A sum was saturated", 8, nil, 0x02),
  mismatch = ProtoField.bool("lispfabric_incc.mismatch", "Signatures or operations differ", 8, nil, 0x04),
  generation = ProtoField.uint8("lispfabric_incc.generation", "Generation"),
  group = ProtoField.uint16("lispfabric_incc.group", "Group"),
  rank = ProtoField.uint16("lispfabric_incc.rank", "Rank"),
  slot = ProtoField.uint16("lispfabric_incc.slot", "Slot"),
  round = ProtoField.uint16("lispfabric_incc.round", "Round"),
  target = ProtoField.uint16("lispfabric_incc.target", "Target rank"),
  signature = ProtoField.uint16("lispfabric_incc.signature", "Signature", base.HEX),
  scale = ProtoField.int32("lispfabric_incc.scale", "Scale"),
  cookie = ProtoField.uint32("lispfabric_incc.cookie", "Cookie", base.HEX),
  value = ProtoField.int32("lispfabric_incc.value", "Value"),
}
incc.fields = c

local too_short = ProtoExpert.new("lispfabric.short", "Shorter than its header says", expert.group.MALFORMED, expert.severity.ERROR)
local bad_version = ProtoExpert.new("lispfabric.version", "A version that does not exist", expert.group.PROTOCOL, expert.severity.WARN)
scale_up.experts = { too_short, bad_version }

local function reserved_rank(rank)
  if rank >= 0x8000 then return string.format("switch %d", rank - 0x8000) end
  return string.format("rank %d", rank)
end

function incc.dissector(buffer, pinfo, tree)
  local item = tree:add(incc, buffer())
  if buffer:len() < INCC_HEADER then
    item:add_proto_expert_info(too_short)
    return buffer:len()
  end
  pinfo.cols.protocol = "INCC"
  local kind, combination = bit.band(buffer(0, 1):uint(), 0x0F), buffer(1, 1):uint()
  local group, rank = buffer(4, 2):uint(), buffer(6, 2):uint()
  local slot, round, target = buffer(8, 2):uint(), buffer(10, 2):uint(), buffer(12, 2):uint()
  item:add(c.version, buffer(0, 1))
  item:add(c.kind, buffer(0, 1))
  item:add(c.operation, buffer(1, 1))
  item:add(c.empty, buffer(2, 1))
  item:add(c.overflow, buffer(2, 1))
  item:add(c.mismatch, buffer(2, 1))
  item:add(c.generation, buffer(3, 1))
  item:add(c.group, buffer(4, 2))
  item:add(c.rank, buffer(6, 2)):append_text(rank >= 0x8000 and " (a switch)" or "")
  item:add(c.slot, buffer(8, 2))
  item:add(c.round, buffer(10, 2))
  item:add(c.target, buffer(12, 2)):append_text(target == 0xFFFF and " (everybody)" or "")
  item:add(c.signature, buffer(14, 2))
  item:add(c.scale, buffer(16, 4))
  item:add(c.cookie, buffer(20, 4))
  if bit.rshift(buffer(0, 1):uint(), 4) ~= 1 then item:add_proto_expert_info(bad_version) end
  local empty = bit.band(buffer(2, 1):uint(), 0x01) ~= 0
  if not empty then
    local values = item:add(incc, buffer(INCC_HEADER), "Values")
    for at = INCC_HEADER, buffer:len() - 4, 4 do
      values:add(c.value, buffer(at, 4)):prepend_text(string.format("[%d] ", (at - INCC_HEADER) / 4))
    end
  end
  local words = string.format("%s group %d %s slot %d round %d %s%s", kinds[kind] or "unknown", group,
    reserved_rank(rank), slot, round, combinations[combination] or "unknown", empty and " empty" or "")
  item:append_text(", " .. words)
  pinfo.cols.info = words
  return buffer:len()
end

function scale_up.dissector(buffer, pinfo, tree)
  local item = tree:add(scale_up, buffer())
  if buffer:len() < HEADER then
    item:add_proto_expert_info(too_short)
    return buffer:len()
  end
  pinfo.cols.protocol = "Scale-Up"
  local operation = bit.band(buffer(0, 1):uint(), 0x0F)
  local next_header, length = buffer(3, 1):uint(), buffer(14, 2):uint()
  local destination, source = buffer(4, 4):uint(), buffer(8, 4):uint()
  item:add(s.version, buffer(0, 1))
  item:add(s.operation, buffer(0, 1))
  item:add(s.channel, buffer(1, 1))
  item:add(s.reorder, buffer(1, 1))
  item:add(s.ecn, buffer(1, 1))
  item:add(s.hop_limit, buffer(2, 1))
  item:add(s.next_header, buffer(3, 1))
  item:add(s.destination, buffer(4, 4))
  item:add(s.source, buffer(8, 4))
  item:add(s.entropy, buffer(12, 2))
  item:add(s.length, buffer(14, 2))
  item:add(s.sequence, buffer(16, 4))
  item:add(s.tag, buffer(20, 4))
  local words = string.format("AccID %d > %d %s", source, destination, operations[operation] or "unknown")
  item:append_text(", " .. words)
  pinfo.cols.info = words
  if bit.rshift(buffer(0, 1):uint(), 4) ~= 1 then item:add_proto_expert_info(bad_version) end
  local left = buffer:len() - HEADER
  if length > left then
    item:add_proto_expert_info(too_short)
    length = left
  end
  if length > 0 then
    local rest = buffer(HEADER, length)
    if next_header == 1 then
      incc.dissector(rest:tvb(), pinfo, tree)
    else
      item:add(s.payload, rest)
    end
  end
  return HEADER + length
end

DissectorTable.get("ethertype"):add(ETHERTYPE, scale_up)
DissectorTable.get("udp.port"):add(UDP_PORT, incc)
