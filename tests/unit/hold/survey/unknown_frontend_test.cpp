// What is said of a frontend that is not there.
#include "hold/survey/unknown_frontend.hpp"

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

Seen with(const std::vector<std::string>& frontends, const std::string& backend = "app") {
  Seen seen;
  seen.names = frontends;
  seen.backends.push_back({});
  seen.backends.back().name = backend;
  return seen;
}

TEST(UnknownFrontend, NamesWhatThereIsAndWhatWasMeant) {
  const Error error = unknown_frontend(with({"balanced", "stats"}), "balancd");
  EXPECT_EQ(error.code, Errc::no_such_frontend);
  EXPECT_EQ(error.message,
            "this HAProxy has no frontend 'balancd'; it has: balanced, stats. Did you mean "
            "'balanced'?");
}

TEST(UnknownFrontend, SuggestsNothingThatIsNotNear) {
  EXPECT_EQ(unknown_frontend(with({"stats"}), "balanced").message,
            "this HAProxy has no frontend 'balanced'; it has: stats");
  EXPECT_EQ(unknown_frontend(with({}), "balanced").message,
            "this HAProxy has no frontend 'balanced'");
}

TEST(UnknownFrontend, CallsABackendABackend) {
  EXPECT_EQ(unknown_frontend(with({"web"}), "app").message,
            "'app' is a backend here, and only frontends are held; it has: web");
}

TEST(UnknownFrontend, OfVeryManyNamesTen) {
  std::vector<std::string> many;
  for (int i = 0; i < 25; ++i) many.push_back("front" + std::to_string(i));
  const std::string words = unknown_frontend(with(many), "x").message;
  EXPECT_NE(words.find("front9 and 15 more"), std::string::npos) << words;
}

}  // namespace
}  // namespace stillgate::hold
