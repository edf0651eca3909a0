// What a resume makes of each look at an HAProxy.
#pragma once

#include "resume_rows.hpp"

namespace stillgate::hold::verdict {

/// What is true of each switch there, whose hold it is, and what is to be done.
void judge(ResumedEndpoint& endpoint, const ResumeRequest& request, const Seen& seen);

}  // namespace stillgate::hold::verdict
