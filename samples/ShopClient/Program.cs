using Actors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Shop;

var builder = Host.CreateApplicationBuilder();
builder.AddActorsClient(args[0]);       // finds the silos in the database
using var host = builder.Build();
await host.StartAsync();
Console.WriteLine(await host.Services.GetRequiredService<IWorkflowClient>().Get<ICheckout>("order-42").ResultAsync());
await host.StopAsync();
