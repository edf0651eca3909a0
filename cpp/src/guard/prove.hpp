// The prover: sends lines that wait, and holds their connections until it is killed.
#pragma once

namespace stillgate::guard {

/// Reads the order from standard input, and answers there. Returns when whoever started it is gone;
/// the process must then end at once, as if it had been killed.
void prove_waits();

}  // namespace stillgate::guard
