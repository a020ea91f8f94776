-- wrk: one text per request, in the order of a file of JSON bodies, one a line.
-- Each thread begins at its share of the file.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  requests, errors = {}, 0
  for body in io.lines(args[1]) do
    table.insert(requests, wrk.format("POST", "/predict", {["Content-Type"] = "application/json"}, body))
  end
  place = math.floor(number * #requests / tonumber(args[2]))
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function response(status)
  if status ~= 200 then errors = errors + 1 end
end

function done(summary, latency, requests)
  local errors = 0
  for _, thread in ipairs(threads) do errors = errors + thread:get("errors") end
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write
  print(string.format(
    'RESULT {"requests": %d, "seconds": %f, "p50": %f, "p95": %f, "p99": %f, "max": %f, '
      .. '"refused": %d, "lost": %d, "late": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors, lost, summary.errors.timeout))
end
