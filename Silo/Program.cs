using System.CommandLine;
using Actors.Silo;

return await new RootCommand("Durable workflows on Postgres and Orleans.") { PostgresCommand.Create() }.Parse(args).InvokeAsync();
