-- Reads `model` out of a request's body, for haproxy.cfg. HAProxy's own json_query sees nothing behind a value nested
-- more than 19 deep, takes the first of two equal keys where engines take the last, and passes over an escaped key: a
-- request that it cannot read must not be taken for one of another model, which may cost money.
--
-- The action `read_model LONG_BYTES` sets one of two variables:
--   txn.model    the one `model` of the body's object, a string, escapes resolved
--   txn.unread   "large" where the body does not fit the buffer and has no model in what does, else "invalid"; a
--                chunked one does not fit if it ends early and is longer than LONG_BYTES
-- What stands inside other values is passed over unread: the node or LiteLLM judges it.

local QUOTE, BACKSLASH = 34, 92
local LONGEST_NAME_BYTES = 512
local ESCAPED = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

-- The place of the quote that ends the string which begins at `at`; nil where the text ends before it.
local function string_end(text, at)
    local quote = at
    repeat
        quote = text:find('"', quote + 1, true)
        if not quote then return nil end
        local first = quote
        while text:byte(first - 1) == BACKSLASH do first = first - 1 end
    until (quote - first) % 2 == 0
    return quote
end

-- The place behind the value which begins at `at`; nil where the text ends before it does.
local function value_end(text, at)
    local depth = 0
    repeat
        local found = text:find(depth == 0 and '["{}%[%],]' or '["{}%[%]]', at)
        if not found then return nil end
        local byte = text:byte(found)
        if byte == QUOTE then
            found = string_end(text, found)
            if not found then return nil end
        elseif byte == 123 or byte == 91 then -- { [
            depth = depth + 1
        elseif depth == 0 then -- , } ] end a number or a word, and are no part of it
            return found
        else
            depth = depth - 1
        end
        at = found + 1
    until depth == 0
    return at
end

local function decoded(text)
    if not text:find("\\", 1, true) then return text end
    return (text:gsub("\\(.)(%x?%x?%x?%x?)", function(sign, digits)
        if sign == "u" and #digits == 4 then return utf8.char(tonumber(digits, 16)) end
        return (ESCAPED[sign] or sign) .. digits
    end))
end

-- Whether the text ends before its object does, and every value of its key `model`, as it is written.
local function models(text)
    local found = {}
    local at = text:match("^[ \t\r\n]*{[ \t\r\n]*()")
    if not at then return not text:find("[^ \t\r\n]"), found end
    if text:byte(at) == 125 then return false, found end -- }
    while true do
        local last = text:byte(at) == QUOTE and string_end(text, at)
        if not last then return last == nil or at > #text, found end
        local key, value = text:sub(at + 1, last - 1), text:match("^[ \t\r\n]*:[ \t\r\n]*()", last + 1)
        if not value then return not text:find("[^ \t\r\n:]", last + 1), found end
        local behind = value_end(text, value)
        if not behind then return true, found end
        if decoded(key) == "model" then found[#found + 1] = text:sub(value, behind - 1) end
        local sign
        sign, at = text:match("^[ \t\r\n]*([,}])[ \t\r\n]*()", behind)
        if sign == "}" then
            return false, at > #text and found or {}
        elseif not sign then
            return not text:find("[^ \t\r\n]", behind), found
        end
    end
end

-- Whether the body is longer than what the buffer holds. Of a chunked one nobody knows its length.
local function is_cut(txn, bytes)
    return (tonumber(txn.sf:req_body_size()) or 0) > bytes
end

core.register_action("read_model", {"http-req"}, function(txn, long_bytes)
    local text = txn.sf:req_body()
    local ends_early, found = models(text)
    local name = #found == 1 and found[1]:match('^"(.*)"$')
    name = name and decoded(name)
    if name and #name <= LONGEST_NAME_BYTES and not name:find("%c") then
        txn:set_var("txn.model", name)
    elseif ends_early and #found == 0 and (is_cut(txn, #text) or #text > tonumber(long_bytes)) then
        txn:set_var("txn.unread", "large")
    else
        txn:set_var("txn.unread", "invalid")
    end
end, 1)
