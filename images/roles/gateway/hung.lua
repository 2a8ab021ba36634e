-- Ends what a node still has that was taken out of rotation, for haproxy.cfg: a hung one answers nobody, ever. A request
-- that has no answer yet is replayed on another node; a stream ends.
--
-- HAProxy's own `on-marked-down shutdown-sessions` does so at once. That would cut every stream for one lost connection,
-- after which a node that works is back within two checks; and a request that is still connecting would end without an
-- answer, the one too by which the node's death was seen. STILL_S later those have gone elsewhere (`timeout connect`),
-- and what still moves, as `option contstats` counts it, is not touched: then only the checks fail.

local BACKEND, STILL_S = "vllm", 5

core.register_task(function()
    local seen, still_s = {}, {}
    while core.thread <= 1 do -- once a process, though every thread reads this file
        for name, server in pairs(core.backends[BACKEND].servers) do
            local stats = server:get_stats()
            local rests = stats.status:find("^DOWN") and stats.scur > 0 and stats.bout == seen[name]
            seen[name], still_s[name] = stats.bout, rests and (still_s[name] or 0) + 1 or 0
            if still_s[name] >= STILL_S then server:shut_sess() end
        end
        core.sleep(1)
    end
end)
