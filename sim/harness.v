// The design between the clock, a reset register and its two streams. The register keeps the reset from being an input of
// all next-state logic, which a simulator would evaluate again whenever an input changes.
module top(
    input clk,
    input rst,
    input commands__valid,
    output commands__ready,
    input [16:0] commands__payload,
    output responses__valid,
    input responses__ready,
    output [16:0] responses__payload
);
  reg held;
  always @(posedge clk) held <= rst;
  device device(
      .clk(clk),
      .rst(held),
      .commands__valid(commands__valid),
      .commands__ready(commands__ready),
      .commands__payload(commands__payload),
      .responses__valid(responses__valid),
      .responses__ready(responses__ready),
      .responses__payload(responses__payload)
  );
endmodule
