-- Ends what a node still has that was taken out of rotation, for haproxy.cfg: a hung one answers nobody, ever. A request
-- that has no answer yet is replayed on another node; a stream ends.
--
-- HAProxy's own `on-marked-down shutdown-sessions` does so at once. That would cut every stream for one lost connection,
-- after which a node that works is back within two checks; and a request that is still connecting would end without an
-- answer, the one too by which the node's death was seen. After AFTER_S those have gone elsewhere (`timeout connect`).

local BACKEND, AFTER_S = "vllm", 4

core.register_task(function()
    while core.thread <= 1 do -- once a process, though every thread reads this file
        for _, server in pairs(core.backends[BACKEND].servers) do
            local stats = server:get_stats()
            if stats.status:find("^DOWN") and stats.scur > 0 and stats.lastchg >= AFTER_S then server:shut_sess() end
        end
        core.sleep(1)
    end
end)
