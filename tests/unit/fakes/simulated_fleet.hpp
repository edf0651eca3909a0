// A fleet of simulated HAProxies and a journal: answers a plan's steps, badly where told to.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hold/plan.hpp"
#include "hold/record/record.hpp"
#include "hold/resume/resume_plan.hpp"
#include "hold/suspend/suspend_plan.hpp"

namespace stillgate::hold {

/// What goes wrong with one host in one batch.
enum class Fault {
  refuses_connection,  ///< no byte goes out
  loses_commands,      ///< sent, not run, no answer
  hangs,               ///< as loses_commands, known by the deadline; see `hang`
  runs_half,           ///< the first command ran, no answer
  loses_answer,        ///< all ran, no answer
  refuses_writes,      ///< an answer, with `Permission denied` to each change
  ignores_writes,      ///< an answer of success, and nothing changed
  dies,                ///< gone in the middle, for good
  restarts,            ///< answers well, but is another process with the configured limits
};
inline constexpr Fault all_faults[] = {
    Fault::refuses_connection, Fault::loses_commands, Fault::hangs,
    Fault::runs_half,          Fault::loses_answer,   Fault::refuses_writes,
    Fault::ignores_writes,     Fault::dies,           Fault::restarts};

/// A frontend's gate. It outlives its process, by its state file.
struct SimulatedGate {
  std::string token;  ///< of the hold in effect; empty: open
  bool rejecting{false};
  std::int64_t began_ms{0};
  std::int64_t deadline_ms{0};
  std::string said;              ///< what it was last switched to
  std::set<std::string> known;   ///< tokens of the hold in effect that it has met
  std::set<std::string> ended;   ///< holds, by their ids: none of them begins again
  std::int64_t lock_ends_ms{0};  ///< from then on its lock is free
  bool released{false};          ///< by a switch
  bool proven{true};
  std::optional<int> cut_s;  ///< a probe that waits would be ended after so many seconds
  bool loses_probe{false};   ///< the probe has ended before the streams are listed
  std::string lock_id;       ///< who took its lock last, and has not given it back
  std::string lock_record;
  std::int64_t waiting{0};      ///< while it is held; one goes at each look after its release
  std::int64_t old_waiting{0};  ///< in an old worker; one goes at each look after its release
  std::int64_t old_released{0};
  std::int64_t counted{0};  ///< requests, whenever it counted; and those that never came to it
  std::int64_t unseen_before{0};
  std::optional<std::int64_t> unseen{0};  ///< during the hold; empty: it does not know yet
};

/// A line that waits on a connection of its own.
struct WaitingLine {
  std::string pointer;  ///< `0x7f01`
  std::string number;
  std::string timeout;     ///< as `ioto=` gives it
  std::string variable{};  ///< of a proof's line: set to `fired` by its end
  std::string fired{};
};

/// What a proof finds at a host.
enum class Proving {
  no_way,        ///< the line cannot be sent
  ends,          ///< a close ends it
  fires,         ///< a close runs the rest
  closes_late,   ///< it fired by its time, in each round
  never_begins,  ///< it is not run
  unseen,        ///< `show sess` does not show it
};

/// A server as `set server` has left it.
struct SimulatedServer {
  std::string state{"ready"};
  std::string weight{"1"};
  bool running{true};  ///< as its checks would say
  bool checked{true};  ///< it has a check
  int fall{3};

  bool operator==(const SimulatedServer&) const = default;
};

/// What a cutover changes at a host.
struct Serving {
  std::map<std::string, SimulatedServer> servers;  ///< by `BACKEND/SERVER`
  std::map<std::string, std::map<std::string, std::string>> maps;

  bool operator==(const Serving&) const = default;
};

struct Host {
  std::string url;
  std::map<std::string, std::int64_t> configured;
  std::map<std::string, std::int64_t> limits;
  std::string version{"3.0.11-1+deb13u5"};
  std::string level{"admin"};
  std::string node;
  std::int64_t pid{100};
  int processes{1};
  std::int64_t uptime{50};
  bool stopping{false};
  bool alive{true};
  bool probed{false};                            ///< probes wait until its streams are listed
  bool remembers{true};                          ///< has process variables, as from 2.4 on
  bool compares{true};                           ///< has compare and set for them, from 2.6 on
  std::map<std::string, std::string> variables;  ///< lost with the process
  std::vector<std::int64_t> in_flight;           ///< at each `show stat`; the last one stays
  std::size_t looks{0};                          ///< so many `show stat` were answered
  std::string streams;                           ///< the answer to `show sess`
  std::map<std::string, std::string> tables;     ///< the answers to `show table`
  Proving proving{Proving::no_way};
  std::vector<WaitingLine> lines;  ///< that wait in it
  bool keeps_lines{false};         ///< `shutdown session` ends nothing
  int next_line{1};
  std::string descriptors;     ///< the answer to `show fd`
  std::int64_t reached{1000};  ///< of its one backend, and of each frontend
  std::int64_t leaks_per_look{0};
  std::map<std::string, SimulatedGate> gates;  ///< by frontend; none: no gate is loaded
  /// Of a server's check, until one has finished; by `BACKEND/SERVER`.
  std::map<std::string, int> check_health{};
  std::map<std::string, std::int64_t> table;  ///< `FRONTEND/TOKEN`: the gate's switch below 2.4
  bool has_table{true};
  bool has_room{true};                        ///< for what a suspend writes, as the gate says
  bool gate_locks{true};                      ///< the gate has a lock, as this release's
  bool gate_reloads{true};                    ///< it can refuse in old workers
  bool gate_names{true};                      ///< its releases name their hold, likewise
  bool gate_sticks{false};                    ///< the gate takes no switch
  std::optional<std::int64_t> gate_clock_ms;  ///< empty: it tells no clock, and ends nothing
  std::int64_t sessions{0};                   ///< connections of clients, idle ones too
  bool up{true};
  std::vector<std::string> more_backends;  ///< that are up
  Serving configured_serving{};            ///< a restart comes back to it
  Serving serving{};
  bool shut{false};  ///< its frontends take no connections
  /// At that look (from 0), before it: somebody's hand.
  std::map<std::size_t, std::function<void(Host&)>> meddling{};
  bool unseen_restart{false};  ///< nobody asked for its Pid since
};

/// How a stop looks to the batch that it meets.
enum class Stop { after_the_batch, before_it_is_sent, before_its_answers };

class SimulatedFleet {
 public:
  SimulatedFleet(std::size_t hosts, std::vector<std::string> frontends);

  std::vector<Host> hosts;
  std::vector<std::string> frontends;
  std::map<std::pair<std::size_t, std::size_t>, Fault> faults;  ///< by batch and host
  std::optional<std::size_t> cancel_at;                         ///< by step
  Stop stop{Stop::after_the_batch};
  /// Before that batch is sent, whoever sends it is frozen, and this happens.
  std::map<std::size_t, std::function<void(SimulatedFleet&)>> freezes;
  std::set<std::size_t> journal_failures;  ///< by number of write
  std::optional<Error> guard_failure;      ///< a guard cannot be started
  bool guard_dies{false};                  ///< before it is told of the hold
  std::vector<std::string> backed;         ///< endpoints where HAProxy's `wait` backs the guard

  std::map<std::string, Record> journal;          ///< what is kept, by id
  std::map<std::string, CutoverRecord> cutovers;  ///< what is kept, by name
  std::size_t unrecorded_cuts{0};                 ///< changes without what stood before on record
  std::optional<Record> guarded;                  ///< what the guard was started for
  std::vector<step::TellGuard::Word> guard_told;
  std::size_t proofs{0};      ///< rounds
  std::vector<Event> events;  ///< what plans told
  std::size_t steps{0};
  std::size_t batches{0};
  std::size_t commands_asked{0};         ///< by all batches
  std::size_t writes{0};                 ///< limits that were really set
  std::size_t unrecorded_holds{0};       ///< limits set to 0 without the number before on record
  std::size_t closed_while_held{0};      ///< records that were ended with the limit at 0
  std::vector<std::int64_t> limits_set;  ///< at the first host, in order
  bool endless{false};                   ///< the plan did not come to its end

  std::optional<std::size_t> first_write_batch;  ///< the batch in which a limit was first set
  std::optional<std::size_t> up_at;              ///< from that batch on every backend is up
  std::chrono::milliseconds clock{0};            ///< when the next course begins
  std::chrono::milliseconds hang{0};             ///< a batch takes so long where a host hangs
  std::chrono::milliseconds round_trip{1};       ///< every other batch, and what its answers tell

  /// Carries out the plan until it is done.
  Report drive(Plan& plan);

  /// How long the next batch takes.
  [[nodiscard]] std::chrono::milliseconds time_of(const runtime_api::Batch& batch) const;

  /// One step alone, with its observation; the report where that was the last one.
  std::optional<Report> carry_out(Plan& plan, Observation& seen);

  /// One host asked by itself, apart from any plan's batch.
  runtime_api::Answer ask_one(std::size_t host, const std::vector<runtime_api::Command>& commands,
                              std::optional<Fault> fault);

  /// Whether the condition holds at that host now.
  bool fulfils(std::size_t host, const runtime_api::Condition* condition);
  /// Lines of a proof; the returned ones could not be sent.
  std::vector<std::pair<std::string, Error>> start_proof(const step::ProveWaits& wanted);
  void end_proof();

  /// A line that begins by its timeout waits there from now on: its number.
  static std::string add_line(Host& host, std::string_view line);

  /// What is past its deadline by the gates' own clock ends.
  static void expire_gates(Host& host);

  /// A second course over the same hosts: counts from nothing, without faults.
  void start_over();

  [[nodiscard]] std::int64_t limit(const std::string& url, const std::string& frontend) const;
  /// By maxconn, or by the gate.
  [[nodiscard]] bool held(const std::string& url, const std::string& frontend) const;
  [[nodiscard]] bool recorded(const std::string& url, const std::string& frontend) const;
  [[nodiscard]] bool restarted_unseen(const std::string& url) const;
  /// No HAProxy keeps a record any more.
  [[nodiscard]] bool all_forgotten() const;
  [[nodiscard]] std::vector<std::string> urls() const;
  [[nodiscard]] std::vector<Record> records() const;
  [[nodiscard]] bool all_open() const;  ///< every limit is the configured one

 private:
  static runtime_api::Reply show_streams(Host& host);
  static runtime_api::Reply show_table(const Host& host, std::string_view name);
  static runtime_api::Reply show_stream(const Host& host, std::string_view pointer);
  static runtime_api::Reply shut_stream(Host& host, std::string_view pointer);
  std::vector<runtime_api::Answer> run(const runtime_api::Batch& batch, bool stopped);
  runtime_api::Answer ask(std::size_t host, const std::vector<runtime_api::Command>& commands);
  runtime_api::Reply answer(Host& host, std::string_view command, std::optional<Fault> fault);
  runtime_api::Reply show_stat(Host& host);
  [[nodiscard]] static std::string server_row(Host& host, const std::string& place,
                                              const SimulatedServer& server);
  runtime_api::Reply variable(Host& host, std::string_view command, std::optional<Fault> fault);
  runtime_api::Reply gate(Host& host, std::string_view command, std::optional<Fault> fault);
  static runtime_api::Reply gate_status(Host& host);
  static void lock_gate(Host& host, std::string_view command);
  static runtime_api::Reply set_table(Host& host, std::string_view command,
                                      std::optional<Fault> fault);
  void sync_gate(Host& host, const std::string& frontend);
  void switch_gate(Host& host, const std::string& frontend, const std::string& said);
  void count_hold(const Host& host, const std::string& frontend, bool remembered);
  static runtime_api::Reply show_servers(const Host& host);
  static runtime_api::Reply show_map(const Host& host, std::string_view command);
  runtime_api::Reply set_server(Host& host, std::string_view command, std::optional<Fault> fault);
  runtime_api::Reply set_map(Host& host, std::string_view command, std::optional<Fault> fault);
  runtime_api::Reply set_limit(Host& host, std::string_view command, std::optional<Fault> fault);
  std::optional<Error> keep(const Record& record);
  std::optional<Error> keep(const CutoverRecord& record);
  [[nodiscard]] std::optional<Fault> fault_of(std::size_t host) const;
  [[nodiscard]] bool reachable(std::size_t host) const;

  std::size_t journal_writes_{0};
  bool locking_{false};  ///< the lock's own looks do not count as such
};

/// Of the hold that a gate's token is for; empty for none.
[[nodiscard]] std::string id_in(const std::string& token);

/// A hold over all of the fleet, and the end of what its journal knows.
[[nodiscard]] SuspendPlan::Request suspend_request(const SimulatedFleet& fleet);
[[nodiscard]] ResumePlan::Request resume_request(const SimulatedFleet& fleet);

/// What must be true after any course, whatever went wrong in it: no verdict says more than is
/// true, nothing was held without its number on record, and what is held is still on record.
void expect_truth(const SimulatedFleet& fleet, const Report& report);

}  // namespace stillgate::hold
