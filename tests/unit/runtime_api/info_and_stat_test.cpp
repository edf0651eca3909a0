// `show info` and `show stat`, typed.
#include <string>

#include <gtest/gtest.h>

#include <stillgate/info.hpp>
#include <stillgate/stat.hpp>

namespace stillgate {
namespace {

TEST(Info, TypedAndWhole) {
  const auto info = parse_info(
      "Name: HAProxy\nVersion: 3.0.11-1+deb13u5\nPid: 42\nUptime_sec: 7\nnode: lb1\n"
      "description: a: b > c\nStopping: 1\nBuild info:\n");
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->version, "3.0.11-1+deb13u5");
  EXPECT_EQ(info->pid, 42);
  EXPECT_EQ(info->uptime_s, 7);
  EXPECT_EQ(info->node, "lb1");
  EXPECT_TRUE(info->stopping);
  EXPECT_EQ(info->find("description"), "a: b > c");
  EXPECT_EQ(info->find("Build info"), "");
  EXPECT_FALSE(info->find("none"));
  EXPECT_EQ(info->fields.size(), 8U);
}

TEST(Info, WhatIsNoInfo) {
  for (const char* text :
       {"", "x", ": x", "Version: 1\nPid: 1\n", "Version: 1\nUptime_sec: 1\n",
        "Pid: 1\nUptime_sec: 1\n", "Version: \nPid: 1\nUptime_sec: 1\n",
        "Version: 1\nPid: 1x\nUptime_sec: 1\n", "Version: 1\nPid: 1\nPid: 1\nUptime_sec: 1\n",
        "Name: HAProxy\nName: HAProxy\nVersion: 1\nPid: 1\nUptime_sec: 1\n",
        "Version: 1\nPid: \nUptime_sec: 1\n"}) {
    const auto info = parse_info(text);
    ASSERT_FALSE(info) << text;
    EXPECT_EQ(info.error().code, Errc::malformed_reply);
  }
}

TEST(Stat, RowsByName) {
  const auto stat = Stat::parse(
      "# pxname,svname,slim,last_chk,\n"
      "balanced,FRONTEND,100,,\n"
      "balanced,s1,,\"L4OK, \"\"quoted\"\"\nline\",\n"
      "balanced,BACKEND,x,\n");
  ASSERT_TRUE(stat) << stat.error().message;
  EXPECT_EQ(stat->columns().size(), 4U);
  ASSERT_EQ(stat->rows().size(), 3U);
  const auto* frontend = stat->frontend("balanced");
  ASSERT_NE(frontend, nullptr);
  EXPECT_EQ(stat->number(*frontend, "slim"), 100);
  EXPECT_EQ(stat->text(*frontend, "last_chk"), "");
  EXPECT_FALSE(stat->number(*frontend, "nosuch"));
  EXPECT_EQ(stat->text(stat->rows()[1], "last_chk"), "L4OK, \"quoted\"\nline");
  EXPECT_FALSE(stat->number(stat->rows()[2], "slim"));
  EXPECT_EQ(stat->text(stat->rows()[2], "last_chk"), "");
  EXPECT_EQ(stat->frontend("s1"), nullptr);
}

// `show stat` of a 2.6.12, word for word.
constexpr const char* real_stat =
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,"
    "wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttl"
    "e,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_"
    "1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_to"
    "t,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,"
    "ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_ris"
    "e,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_"
    "rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache"
    "_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_"
    "conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,a"
    "gg_check_status,-,ssl_sess,ssl_reused_sess,ssl_failed_handshake,h2_headers_rcvd,h2_data_"
    "rcvd,h2_settings_rcvd,h2_rst_stream_rcvd,h2_goaway_rcvd,h2_detected_conn_protocol_errors"
    ",h2_detected_strm_protocol_errors,h2_rst_stream_resp,h2_goaway_resp,h2_open_connections,"
    "h2_backend_open_streams,h2_total_connections,h2_backend_total_streams,h1_open_connection"
    "s,h1_open_streams,h1_total_connections,h1_total_streams,h1_bytes_in,h1_bytes_out,h1_spli"
    "ced_bytes_in,h1_spliced_bytes_out,\n"
    "balanced,FRONTEND,,,0,0,9985,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,0,,,,0,0,0,0,,,,0,0,0,0,0,"
    "0,,0,0,0,,,0,0,0,0,,,,,,,,,,,,,,,,,,,,,http,,0,0,0,0,0,0,0,,,0,0,,,,,,,0,,,,,,,,,-,0,0,0"
    ",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,\n"
    "app,s1,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN,1,1,0,1,1,1,1,,1,3,1,,0,,2,0,,0,L4CON,,0,0,0,0,0,"
    "0,0,,,,0,0,0,,,,,-1,Connection refused,,0,0,0,0,,,,Layer4 connection problem,,2,3,0,,,,1"
    "27.0.0.1:9,,http,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,1,1,,,,-,0,0,0,,,,,,,,,,,,,,,,,,,,,,\n"
    "app,BACKEND,0,0,0,0,999,0,0,0,0,0,,0,0,0,0,DOWN,0,0,0,,1,1,1,,1,3,0,,0,,1,0,,0,,,,0,0,0,"
    "0,0,0,,,,0,0,0,0,0,0,0,-1,,,0,0,0,0,,,,,,,,,,,,,,http,roundrobin,,,,,,,0,0,0,0,0,,,0,0,0"
    ",0,0,,,,,0,0,0,0,-,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,\n";

TEST(Stat, OfARealHAProxy) {
  const auto stat = Stat::parse(real_stat);
  ASSERT_TRUE(stat) << stat.error().message;
  ASSERT_EQ(stat->rows().size(), 3U);
  const auto* frontend = stat->frontend("balanced");
  ASSERT_NE(frontend, nullptr);
  EXPECT_EQ(stat->number(*frontend, "slim"), 9985);
  EXPECT_EQ(stat->text(*frontend, "status"), "OPEN");
  EXPECT_EQ(stat->text(stat->rows()[1], "addr"), "127.0.0.1:9");
  EXPECT_EQ(stat->text(stat->rows()[1], "check_desc"), "Layer4 connection problem");
  EXPECT_EQ(stat->number(stat->rows()[1], "lastsess"), -1);
}

TEST(Stat, EveryCutOfARealTextIsTakenOrRefused) {
  const std::string whole = real_stat;
  for (std::size_t kept = 0; kept < whole.size(); ++kept) {
    const auto stat = Stat::parse(whole.substr(0, kept));
    if (!stat) continue;
    EXPECT_LE(stat->rows().size(), 3U);
  }
}

TEST(Stat, WhatIsNoStat) {
  for (const char* text :
       {"", "pxname,svname,\n", "# svname,pxname,\n", "# pxname,\n", "# pxname,\"svname\n",
        "# pxname,svname,\na,\"b\n", "# pxname,svname,\na,\n", "# pxname,svname,\n,b,\n",
        "# pxname,svname,\na,b,c,d,\n", "# pxname,svname,scur,scur,\n"}) {
    const auto stat = Stat::parse(text);
    ASSERT_FALSE(stat) << text;
    EXPECT_EQ(stat.error().code, Errc::malformed_reply);
  }
  EXPECT_TRUE(Stat::parse("# pxname,svname,\n"));
}

}  // namespace
}  // namespace stillgate
